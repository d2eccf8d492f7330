import type { Reflector, V1Node, V1Pod } from '@luthier/kube';
import type { Root } from './carriers/carrier.js';
import { attemptOf, isPart } from './carriers/carriers.js';
import { attemptOfLabels } from './names.js';
import { hasEnded } from './observe-attempt.js';
import type { RunPod } from './run-pods.metrics.js';

export interface RunReflectors {
  /** One for each kind of root object. */
  roots: readonly Pick<Reflector<Root>, 'onChange'>[];
  pods: Pick<Reflector<V1Pod>, 'onChange'>;
  nodes: Pick<Reflector<V1Node>, 'onChange'>;
}

interface Key {
  runId: string;
  attempt: number;
}

/** More than any run has pods, so that a storm of replacements cannot fill the memory. */
const MAX_DEPARTED = 256;

/**
 * What the watches show, by attempt. Answers to own writes are remembered until the watch has caught up, and pods that
 * are gone until the attempt is forgotten: only they tell why it ended.
 */
export class RunObjects {
  private readonly podsOf = new Map<string, Map<string, V1Pod>>();
  private readonly departedOf = new Map<string, Map<string, V1Pod>>();
  private readonly rootsOf = new Map<string, Map<string, Root>>();
  private readonly runOfRoot = new Map<string, string>();
  private readonly written = new Map<string, Root>();
  /** UIDs of what controllers have made of a root object besides pods, by attempt. */
  private readonly partsOf = new Map<string, Set<string>>();
  /** UIDs of root objects whose deletion the API has accepted. */
  private readonly deleted = new Set<string>();

  constructor(
    private readonly reflectors: RunReflectors,
    private readonly tell: (runId: string) => void,
  ) {
    const { roots, pods, nodes } = reflectors;
    for (const watch of roots) {
      watch.onChange((_key, now, before) => {
        // After a gap, one of the same name may have taken the place of another.
        if (before && uidOf(before) !== (now && uidOf(now))) this.see(before, false);
        if (now) this.see(now, true);
      });
    }
    pods.onChange((_key, now, before) => {
      const pod = now ?? before;
      const key = attemptOfLabels(pod?.metadata?.labels);
      if (!pod || !key) return;
      this.notePod(key, pod, now !== undefined);
      tell(key.runId);
    });
    nodes.onChange((name, now, before) => {
      if (isReady(now) === isReady(before)) return;
      for (const [attempt, found] of this.podsOf) {
        if ([...found.values()].some(({ spec }) => spec?.nodeName === name)) tell(attempt.split('#')[0] ?? '');
      }
    });
  }

  /** The attempt's root object, as the watches or own writes show it: whichever is newer. */
  root({ runId, attempt }: Key, uid?: string): Root | undefined {
    const found = this.roots(runId).filter((root) => attemptOf(root)?.attempt === attempt);
    return found.find((root) => uidOf(root) === uid) ?? found[0];
  }

  /** All root objects of a run, of whatever attempt. */
  roots(runId: string): Root[] {
    return [...(this.rootsOf.get(runId)?.values() ?? [])].map((root) => this.newest(root));
  }

  /** Newest attempt of which there is a root object. */
  newestAttempt(runId: string): number | undefined {
    const attempts = this.roots(runId).flatMap((root) => attemptOf(root)?.attempt ?? []);
    return attempts.length > 0 ? Math.max(...attempts) : undefined;
  }

  /** UIDs of what is between the root object and its pods: events about them tell why there are no pods. */
  parts(key: Key): string[] {
    return [...(this.partsOf.get(nameOf(key)) ?? [])];
  }

  pods(key: Key): V1Pod[] {
    return [...(this.podsOf.get(nameOf(key))?.values() ?? [])];
  }

  /** Pods that are gone, as they were last seen. */
  departed(key: Key): V1Pod[] {
    return [...(this.departedOf.get(nameOf(key))?.values() ?? [])];
  }

  /** Pods that have not ended: they hold their devices. */
  livePods(): RunPod[] {
    return [...this.podsOf].flatMap(([name, pods]) =>
      [...pods.values()].filter((pod) => !hasEnded(pod)).map((pod) => ({ runId: name.split('#')[0] ?? '', pod })),
    );
  }

  /** Runs of which a pod holds its devices. */
  liveRuns(): string[] {
    return [...new Set(this.livePods().map(({ runId }) => runId))];
  }

  /** Tells of the run whose root object has this UID. */
  tellOwner(rootUid: string): void {
    const runId = this.runOfRoot.get(rootUid);
    if (runId !== undefined) this.tell(runId);
  }

  /** The answer to an own write is newer than what the watch may still show. */
  wrote(root: Root): void {
    const uid = uidOf(root);
    this.written.set(uid, root);
    const key = attemptOf(root);
    if (key && !this.rootsOf.get(key.runId)?.has(uid)) this.noteRoot(key.runId, root, true);
  }

  /** The API has accepted its deletion, which the watch may not show yet. */
  isLeaving(root: Root): void {
    this.deleted.add(uidOf(root));
  }

  /** A live look has shown that it is not there. */
  isGone(runId: string, uid: string): void {
    const root = this.rootsOf.get(runId)?.get(uid);
    if (root) this.noteRoot(runId, root, false);
  }

  forget(runId: string): void {
    for (const uid of this.rootsOf.get(runId)?.keys() ?? []) this.written.delete(uid);
    for (const name of this.departedOf.keys()) if (name.startsWith(`${runId}#`)) this.departedOf.delete(name);
  }

  private see(root: Root, isThere: boolean): void {
    if (isPart(root)) return this.notePart(root, isThere);
    const runId = attemptOf(root)?.runId;
    if (runId === undefined) return;
    this.noteRoot(runId, root, isThere);
    this.tell(runId);
  }

  private notePart(part: Root, isThere: boolean): void {
    const key = attemptOfLabels(part.metadata?.labels);
    if (!key) return;
    const known = this.partsOf.get(nameOf(key)) ?? new Set<string>();
    if (isThere) known.add(uidOf(part));
    else known.delete(uidOf(part));
    if (known.size > 0) this.partsOf.set(nameOf(key), known);
    else this.partsOf.delete(nameOf(key));
  }

  /** As it was written last, where the watch has not caught up. */
  private newest(root: Root): Root {
    const own = this.written.get(uidOf(root));
    if (own && versionOf(own) > versionOf(root)) return this.asTold(own);
    this.written.delete(uidOf(root));
    return this.asTold(root);
  }

  private asTold(root: Root): Root {
    if (root.metadata?.deletionTimestamp !== undefined || !this.deleted.has(uidOf(root))) return root;
    return { ...root, metadata: { ...root.metadata, deletionTimestamp: new Date().toISOString() } };
  }

  private noteRoot(runId: string, root: Root, isThere: boolean): void {
    const known = this.rootsOf.get(runId) ?? new Map<string, Root>();
    const uid = uidOf(root);
    if (isThere) {
      known.set(uid, root);
      this.runOfRoot.set(uid, runId);
    } else {
      known.delete(uid);
      this.runOfRoot.delete(uid);
      this.deleted.delete(uid);
      this.written.delete(uid);
    }
    if (known.size > 0) this.rootsOf.set(runId, known);
    else this.rootsOf.delete(runId);
  }

  private notePod(key: Key, pod: V1Pod, isThere: boolean): void {
    const name = nameOf(key);
    const uid = pod.metadata?.uid ?? '';
    const here = this.podsOf.get(name) ?? new Map<string, V1Pod>();
    if (isThere) here.set(uid, pod);
    else {
      here.delete(uid);
      const departed = this.departedOf.get(name) ?? new Map<string, V1Pod>();
      departed.set(uid, asEnded(pod));
      const [oldest] = departed.keys();
      if (departed.size > MAX_DEPARTED && oldest !== undefined) departed.delete(oldest);
      this.departedOf.set(name, departed);
    }
    if (here.size > 0) this.podsOf.set(name, here);
    else this.podsOf.delete(name);
  }
}

const nameOf = ({ runId, attempt }: Key): string => `${runId}#${attempt}`;

const uidOf = ({ metadata }: Root): string => metadata?.uid ?? '';

const versionOf = ({ metadata }: Root): number => Number(metadata?.resourceVersion ?? 0);

const isReady = (node: V1Node | undefined): string | undefined =>
  node?.status?.conditions?.find(({ type }) => type === 'Ready')?.status;

/** A pod that is gone runs no more, whatever it said last. */
const asEnded = (pod: V1Pod): V1Pod => (hasEnded(pod) ? pod : { ...pod, status: { ...pod.status, phase: 'Failed' } });
