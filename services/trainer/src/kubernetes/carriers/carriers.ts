import { attemptOfLabels } from '../names.js';
import type { Carrier, Root, RootObject } from './carrier.js';
import { JOB } from './job.js';

/** Every kind of root object there can be. */
export const CARRIERS: readonly Carrier[] = [JOB];

/** @throws Error for a kind that no attempt is carried by. */
export function carrierOf({ kind }: { kind?: string }): Carrier {
  const found = CARRIERS.find(({ resource }) => resource.kind === kind);
  if (!found) throw new Error(`no attempt is carried by a ${kind ?? 'thing without a kind'}`);
  return found;
}

/**
 * The attempt that an object is the root of. What another object's controller has made is part of that one, whatever
 * labels it was given.
 */
export function attemptOf({ metadata }: Root | RootObject): { runId: string; attempt: number } | undefined {
  const isPart = (metadata?.ownerReferences ?? []).some(({ controller }) => controller === true);
  return isPart ? undefined : attemptOfLabels(metadata?.labels);
}
