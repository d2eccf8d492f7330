import { attemptOfLabels } from '../names.js';
import type { Carrier, Root, RootObject } from './carrier.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { JOB } from './job.js';
import { JOB_SET } from './jobset.js';
import { TRAIN_JOB } from './train-job.js';

/** Every kind of root object there can be. */
export const CARRIERS: readonly Carrier[] = [JOB, JOB_SET, TRAIN_JOB];

/** The kind that a new attempt gets. One that has an object already keeps that one's, whatever is installed by then. */
export function chooseCarrier({ carrier }: ClusterProfile, nodes: number, served: readonly Carrier[]): Carrier {
  switch (carrier.type) {
    case 'job':
      return JOB;
    case 'jobset':
      return JOB_SET;
    case 'train-job':
      return TRAIN_JOB;
    case 'auto':
      return nodes > 1 && served.includes(JOB_SET) ? JOB_SET : JOB;
  }
}

/** @throws Error for a kind that no attempt is carried by. */
export function carrierOf({ kind }: { kind?: string }): Carrier {
  const found = CARRIERS.find(({ resource }) => resource.kind === kind);
  if (!found) throw new Error(`no attempt is carried by a ${kind ?? 'thing without a kind'}`);
  return found;
}

/** Whether another object's controller has made it: then it is part of that one, whatever labels it was given. */
export const isPart = ({ metadata }: Root | RootObject): boolean =>
  (metadata?.ownerReferences ?? []).some(({ controller }) => controller === true);

/** The attempt that an object is the root of. */
export const attemptOf = (root: Root | RootObject): { runId: string; attempt: number } | undefined =>
  isPart(root) ? undefined : attemptOfLabels(root.metadata?.labels);
