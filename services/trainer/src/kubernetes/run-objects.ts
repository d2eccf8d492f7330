import type { V1Job, V1Node, V1Pod } from '@luthier/kube';
import type { Reflector } from '@luthier/kube';
import { attemptOfLabels, objectNameOf } from './names.js';
import { hasEnded } from './observe-attempt.js';

export interface RunReflectors {
  jobs: Pick<Reflector<V1Job>, 'get' | 'onChange' | 'connected'>;
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
  private readonly jobsOf = new Map<string, Map<number, V1Job>>();
  private readonly runOfJob = new Map<string, string>();
  private readonly written = new Map<string, V1Job>();
  /** UIDs of Jobs whose deletion the API has accepted. */
  private readonly deleted = new Set<string>();

  constructor(
    private readonly namespace: string,
    private readonly reflectors: RunReflectors,
    private readonly tell: (runId: string) => void,
  ) {
    const { jobs, pods, nodes } = reflectors;
    jobs.onChange((_key, now, before) => {
      const key = attemptOfLabels((now ?? before)?.metadata?.labels);
      if (!key) return;
      this.noteJob(key, now);
      tell(key.runId);
    });
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

  job({ runId, attempt }: Key): V1Job | undefined {
    const name = objectNameOf(runId, attempt);
    const found = this.reflectors.jobs.get(`${this.namespace}/${name}`);
    // The name alone does not make it ours.
    const owner = attemptOfLabels(found?.metadata?.labels);
    const cached = owner?.runId === runId && owner.attempt === attempt ? found : undefined;
    const own = this.written.get(name);
    if (!own) return cached && this.asTold(cached);
    if (!cached || versionOf(own) > versionOf(cached)) return this.asTold(own);
    this.written.delete(name);
    return this.asTold(cached);
  }

  /** All Jobs of a run, of whatever attempt, as the watches or own writes show them: whichever is newer. */
  jobs(runId: string): V1Job[] {
    const attempts = [...(this.jobsOf.get(runId)?.keys() ?? [])];
    return attempts.flatMap((attempt) => this.job({ runId, attempt }) ?? []);
  }

  /** Newest attempt of which there is a Job. */
  newestAttempt(runId: string): number | undefined {
    const attempts = [...(this.jobsOf.get(runId)?.keys() ?? [])];
    return attempts.length > 0 ? Math.max(...attempts) : undefined;
  }

  pods(key: Key): V1Pod[] {
    return [...(this.podsOf.get(nameOf(key))?.values() ?? [])];
  }

  /** Pods that are gone, as they were last seen. */
  departed(key: Key): V1Pod[] {
    return [...(this.departedOf.get(nameOf(key))?.values() ?? [])];
  }

  /** Runs of which a pod holds its devices. */
  liveRuns(): string[] {
    return [...this.podsOf].flatMap(([name, pods]) =>
      [...pods.values()].some((pod) => !hasEnded(pod)) ? [name.split('#')[0] ?? ''] : [],
    );
  }

  /** Tells of the run whose Job has this UID. */
  tellOwner(jobUid: string): void {
    const runId = this.runOfJob.get(jobUid);
    if (runId !== undefined) this.tell(runId);
  }

  /** The answer to an own write is newer than what the watch may still show. */
  wrote(job: V1Job): void {
    const name = job.metadata?.name;
    if (name !== undefined) this.written.set(name, job);
    const key = attemptOfLabels(job.metadata?.labels);
    if (key && !this.jobsOf.get(key.runId)?.has(key.attempt)) this.noteJob(key, job);
  }

  /** The API has accepted its deletion, which the watch may not show yet. */
  isLeaving({ metadata }: V1Job): void {
    if (metadata?.uid !== undefined) this.deleted.add(metadata.uid);
  }

  /** A live look has shown that it is not there. */
  isGone(key: Key): void {
    this.written.delete(objectNameOf(key.runId, key.attempt));
  }

  forget(runId: string): void {
    for (const attempt of this.jobsOf.get(runId)?.keys() ?? []) this.written.delete(objectNameOf(runId, attempt));
    for (const name of this.departedOf.keys()) if (name.startsWith(`${runId}#`)) this.departedOf.delete(name);
  }

  private asTold(job: V1Job): V1Job {
    const { uid = '', deletionTimestamp } = job.metadata ?? {};
    if (deletionTimestamp !== undefined || !this.deleted.has(uid)) return job;
    return { ...job, metadata: { ...job.metadata, deletionTimestamp: new Date().toISOString() } };
  }

  private noteJob({ runId, attempt }: Key, job: V1Job | undefined): void {
    const known = this.jobsOf.get(runId) ?? new Map<number, V1Job>();
    const uid = (job ?? known.get(attempt))?.metadata?.uid ?? '';
    if (job) {
      known.set(attempt, job);
      this.runOfJob.set(uid, runId);
    } else {
      known.delete(attempt);
      this.runOfJob.delete(uid);
      this.deleted.delete(uid);
      this.written.delete(objectNameOf(runId, attempt));
    }
    if (known.size > 0) this.jobsOf.set(runId, known);
    else this.jobsOf.delete(runId);
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

const versionOf = ({ metadata }: V1Job): number => Number(metadata?.resourceVersion ?? 0);

const isReady = (node: V1Node | undefined): string | undefined =>
  node?.status?.conditions?.find(({ type }) => type === 'Ready')?.status;

/** A pod that is gone runs no more, whatever it said last. */
const asEnded = (pod: V1Pod): V1Pod => (hasEnded(pod) ? pod : { ...pod, status: { ...pod.status, phase: 'Failed' } });
