import type { V1Event, V1Pod } from '@luthier/kube';
import type { RunOutcome, RunSpec } from '@luthier/contracts';
import type { RunListener } from '../endpoint/run-endpoint.service.js';
import { RunExecutor } from '../runs/run-executor.js';
import type { AttemptKey, Collected, Known, Observation, PlacedObject } from '../runs/run-executor.js';
import type { AttemptObjects } from './attempt-objects.js';
import type { Root } from './carriers/carrier.js';
import { attemptOf } from './carriers/carriers.js';
import type { ClusterProfile } from './cluster-profile.js';
import type { AttemptCollector } from './collect-attempt.js';
import { FirstSeen } from './first-seen.js';
import { GangWakeUps } from './gang-wake-ups.js';
import { judgeNodes, judgeSilence, judgeWaiting, needsEvents } from './judge-waiting.js';
import type { LastSigns } from './last-signs.js';
import { ANNOTATION, objectNameOf } from './names.js';
import type { NodeViews } from './node-views.js';
import { isTakenAway, notedIncarnation, observeAttempt } from './observe-attempt.js';
import type { AttemptView } from './observe-attempt.js';
import type { PodLogArchive } from './pod-log-archive.js';
import type { RunnerSettings } from './render/children.js';
import type { History } from './render/root.js';
import type { RunObjects } from './run-objects.js';
import type { RunWorkloads } from './run-workloads.js';

export interface KubernetesExecutorParts {
  objects: RunObjects;
  calls: AttemptObjects;
  workloads: RunWorkloads;
  collector: AttemptCollector;
  logs: PodLogArchive;
  signs: LastSigns;
  /** Newest events about an object, bounded. */
  eventsOf: (objectUid: string) => readonly V1Event[];
  nodes: Pick<NodeViews, 'silent' | 'with' | 'withFresh'>;
  /** The queues there are; null: none can be; undefined: not known. */
  queueNames: () => readonly string[] | null | undefined;
  /** Step of a run's newest committed checkpoint. */
  newestStep: (runId: string) => Promise<number | undefined>;
  profileOf: (name: string) => ClusterProfile | undefined;
  runnerOf: (spec: RunSpec) => RunnerSettings;
  now?: () => number;
}

/** Of a large run a few pods tell as much as all of them. */
const MAX_PODS_ASKED = 8;
const VANISHED_LOOK_MS = 1_000;

/** Runs as objects of Kubernetes, one for each attempt, out of which its pods are made. What it knows it can learn again from the cluster. */
export class KubernetesExecutor extends RunExecutor implements RunListener {
  private readonly now: () => number;
  /** Profile of the runs met, for looks that come without their spec. */
  private readonly profiles = new Map<string, string>();
  private readonly firstSeen = new FirstSeen();
  private readonly wakeUps = new GangWakeUps();

  constructor(private readonly parts: KubernetesExecutorParts) {
    super();
    this.now = parts.now ?? Date.now;
  }

  private readonly listeners = new Set<(runId: string) => void>();

  override onChange(listener: (runId: string) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Something about a run may have changed in the cluster. */
  tell(runId: string): void {
    for (const listener of this.listeners) listener(runId);
  }

  override async observe(key: AttemptKey, { objectUid: knownUid, profile: name }: Known): Promise<Observation> {
    this.profiles.set(key.runId, name);
    const { objects, workloads, signs } = this.parts;
    const pods = objects.pods(key);
    const vanished = pods.length === 0 && objects.departed(key).length > 0;
    const root = await this.findRoot(key, knownUid, vanished);
    const now = this.now();
    const profile = this.profileOfRun(key.runId);
    const view = { root, pods, silentNodes: this.parts.nodes.silent(), now };
    const events = this.eventsFor(key, view);
    const workload = root && workloads.of(root);
    const step = isSetBack(root) ? await this.parts.newestStep(key.runId) : undefined;
    const observed = observeAttempt(view, profile, {
      // Its pods have gone and the object does not say why yet: it soon does, or others follow.
      waiting: (seen) =>
        vanished && seen.root.spec?.suspend !== true
          ? { lookAgainInMs: VANISHED_LOOK_MS }
          : judgeWaiting(
              {
                ...seen,
                ...{ events, workload, step, queues: this.parts.queueNames() },
                queuePosition: workload && workloads.positionOf(workload),
                nodes: this.parts.nodes.with(profile?.deviceResource),
                sinceOf: (reason) => this.firstSeen.since(attemptName(key), reason, now),
              },
              profile,
            ),
      silence: (seen) => ({
        ...judgeSilence(seen, signs.of(key.runId), profile),
        ...judgeNodes({ ...seen, nodes: this.parts.nodes.with(profile?.deviceResource) }, profile),
      }),
    });
    if (root && this.wakeUps.isDue(root, observed, profile, now)) await this.parts.calls.wakeGang(root);
    return observed;
  }

  override async create(spec: RunSpec): Promise<PlacedObject> {
    const profile = this.requireProfile(spec);
    const older = this.parts.objects.roots(spec.runId).filter((root) => numberOf(root) < spec.attempt);
    const root = await this.parts.calls.create(spec, profile, this.historyOf(older));
    this.parts.objects.wrote(root);
    for (const one of older) await this.deleteRoot(one);
    return { objectUid: root.metadata?.uid ?? '', pods: [] };
  }

  override async release(spec: RunSpec, objectUid: string): Promise<void> {
    const { calls, objects, runnerOf } = this.parts;
    const root = objects.root(spec, objectUid);
    if (root?.metadata?.uid !== objectUid) return; // gone since it was looked at: the next look says so
    objects.wrote(await calls.release(spec, this.requireProfile(spec), root, runnerOf(spec)));
  }

  /** Attempts of a queue elsewhere may be stopped and begun again there; others have one set of pods. */
  override async noteIncarnation(spec: RunSpec, incarnation: number, pods: readonly string[]): Promise<void> {
    const { calls, objects } = this.parts;
    const root = objects.root(spec);
    if (spec.queue !== 'external' || !root) return;
    objects.wrote(await calls.annotate(root, { [ANNOTATION.incarnation]: [incarnation, ...pods].join(',') }));
  }

  /** The order reaches the runners with the run endpoint's next answer. */
  override async stop(): Promise<void> {
    return Promise.resolve();
  }

  /** As for `stop`. */
  override async checkpoint(): Promise<void> {
    return Promise.resolve();
  }

  /** Orders the end; the watch tells when nothing is left. */
  override async kill(key: AttemptKey): Promise<void> {
    const root = this.parts.objects.root(key);
    if (root) await this.deleteRoot(root);
  }

  override async collect(key: AttemptKey): Promise<Collected> {
    const { objects, collector, calls } = this.parts;
    const root = objects.root(key);
    const pods = await this.podsAtEnd(key, root);
    const profile = this.profileOfRun(key.runId);
    const collected = await collector.collect(key, {
      ...{
        root,
        pods,
        silentNodes: this.parts.nodes.silent(),
        nodes: await this.parts.nodes.withFresh(nodesOfFailed(pods), profile?.deviceResource),
        now: this.now(),
      },
      events: pods.length === 0 && root?.metadata?.uid !== undefined ? this.parts.eventsOf(root.metadata.uid) : [],
      isRootThere: async () => (await this.findLive(key, root?.metadata?.uid, root)) !== undefined,
      gpuResource: profile?.deviceResource,
      nodeLostMs: profile && profile.nodeLostSeconds * 1_000,
    });
    await this.parts.logs.keep(key, incarnationOf(root), pods);
    const avoided = collected.avoidNode;
    if (avoided !== undefined && root) {
      const nodes = [...new Set([...avoidedBy(root), avoided])].join(',');
      objects.wrote(await calls.annotate(root, { [ANNOTATION.avoidNodes]: nodes }));
    }
    return collected;
  }

  override hasOthers({ runId, attempt }: AttemptKey): boolean {
    const roots = this.parts.objects.roots(runId);
    return roots.some((root) => numberOf(root) !== attempt && root.metadata?.deletionTimestamp === undefined);
  }

  override async remove(runId: string): Promise<void> {
    for (const root of this.parts.objects.roots(runId)) await this.deleteRoot(root);
    this.parts.objects.forget(runId);
    this.parts.signs.forget(runId);
    this.parts.collector.forget(runId);
    this.firstSeen.forget(runId);
    this.profiles.delete(runId);
  }

  override async runningMs(runId: string): Promise<number> {
    const roots = this.parts.objects.roots(runId);
    return Promise.resolve(this.historyOf(roots).ranSeconds * 1_000);
  }

  override nodesOf(key: AttemptKey, profile: string): readonly string[] {
    const { objects } = this.parts;
    const pods = [...objects.pods(key), ...objects.departed(key)];
    const nodes = [...new Set(pods.flatMap(({ spec }) => spec?.nodeName ?? []))];
    const inTrouble = this.parts.nodes
      .with(this.parts.profileOf(profile)?.deviceResource)
      .filter(({ ready, brokenGpus = 0 }) => !ready || brokenGpus > 0);
    const found = nodes.filter((node) => inTrouble.some(({ name }) => name === node));
    return found.length > 0 ? found : nodes;
  }

  override liveRuns(): readonly string[] {
    return this.parts.objects.liveRuns();
  }

  /** Whether its pods run is seen on them. */
  onTraining(): void {}

  onOutcome(key: AttemptKey, outcome: RunOutcome, node: number): void {
    this.parts.collector.reported(key, outcome, node);
  }

  /** The watch's, else, when one is known to have existed, a live look: a watch that lags is not a deletion. */
  private async findRoot(key: AttemptKey, knownUid: string | undefined, doubted: boolean): Promise<Root | undefined> {
    const { objects } = this.parts;
    const root = objects.root(key, knownUid);
    if (knownUid === undefined || (root && !doubted)) return root;
    const found = await this.findLive(key, knownUid, root);
    if (found) {
      objects.wrote(found);
      return found;
    }
    objects.isGone(key.runId, knownUid);
    return undefined;
  }

  /** As the API has it now. An object of another UID is not ours. */
  private async findLive(
    { runId, attempt }: AttemptKey,
    uid: string | undefined,
    seen: Root | undefined,
  ): Promise<Root | undefined> {
    if (uid === undefined) return undefined;
    const kind = seen?.metadata?.uid === uid ? seen.kind : undefined;
    return this.parts.calls.get(objectNameOf(runId, attempt), uid, kind);
  }

  /** Also those that the watch has not shown yet: it may be behind that of their object. */
  private async podsAtEnd(key: AttemptKey, root: Root | undefined): Promise<V1Pod[]> {
    const { objects, calls } = this.parts;
    const watched = podsOfEnd(root, objects.pods(key), objects.departed(key));
    if (!root || watched.length >= (root.spec?.completions ?? 1)) return watched;
    const there = podsOfEnd(root, await calls.pods(key), []);
    const isThere = new Set(there.map(({ metadata }) => metadata?.uid));
    return [...there, ...watched.filter(({ metadata }) => !isThere.has(metadata?.uid))];
  }

  private eventsFor(key: AttemptKey, view: AttemptView): V1Event[] {
    if (!needsEvents(view)) return [];
    const uids = [view.root, ...view.pods.slice(0, MAX_PODS_ASKED)].flatMap((one) => one?.metadata?.uid ?? []);
    return [...uids, ...this.parts.objects.parts(key)].flatMap((uid) => this.parts.eventsOf(uid));
  }

  private async deleteRoot(root: Root): Promise<void> {
    if (root.metadata?.deletionTimestamp !== undefined) return;
    await this.parts.calls.delete(root);
    this.wakeUps.forget(root);
    this.parts.objects.isLeaving(root);
  }

  private requireProfile(spec: RunSpec): ClusterProfile {
    const profile = this.parts.profileOf(spec.profile);
    if (!profile) throw new Error(`there is no cluster profile "${spec.profile}"`);
    return profile;
  }

  /** What the newest of these inherited, and what it adds. */
  private historyOf(roots: readonly Root[]): History {
    const newest = roots.toSorted((a, b) => numberOf(b) - numberOf(a))[0];
    if (!newest) return { avoidNodes: [], ranSeconds: 0 };
    const inherited = Number(newest.metadata?.annotations?.[ANNOTATION.ranSeconds] ?? 0);
    const own = this.parts.workloads.pastSecondsOf(newest) + ranSeconds(newest, this.now());
    return { avoidNodes: avoidedBy(newest), ranSeconds: inherited + own };
  }

  private profileOfRun(runId: string): ClusterProfile | undefined {
    const name = this.profiles.get(runId);
    return name === undefined ? undefined : this.parts.profileOf(name);
  }
}

const nodesOfFailed = (pods: readonly V1Pod[]): string[] => [
  ...new Set(pods.flatMap(({ spec, status }) => (status?.phase === 'Failed' ? (spec?.nodeName ?? []) : []))),
];

/** Attempts that wait in no queue elsewhere have one set of pods. */
const incarnationOf = (root: Root | undefined): number => (root && notedIncarnation(root)?.incarnation) ?? 1;

const attemptName = ({ runId, attempt }: AttemptKey): string => `${runId}#${attempt}`;

/** Of the attempt. */
const numberOf = (root: Root): number => attemptOf(root)?.attempt ?? 0;

const avoidedBy = (root: Root | undefined): string[] =>
  (root?.metadata?.annotations?.[ANNOTATION.avoidNodes] ?? '').split(',').filter((name) => name !== '');

/** It has run, and waits again. */
const isSetBack = (root: Root | undefined): boolean =>
  root?.spec?.suspend === true && notedIncarnation(root) !== undefined;

/** Without those of earlier incarnations: that a queue took them away says nothing about the attempt's end. */
function podsOfEnd(root: Root | undefined, here: readonly V1Pod[], departed: readonly V1Pod[]): V1Pod[] {
  const newest = root && notedIncarnation(root)?.pods;
  const isOld = ({ metadata }: V1Pod): boolean => newest !== undefined && !newest.includes(metadata?.uid ?? '');
  return [...here.filter((pod) => !isOld(pod) || !isTakenAway(root, pod)), ...departed.filter((pod) => !isOld(pod))];
}

function ranSeconds({ status, spec }: Root, now: number): number {
  if (status?.startTime === undefined || spec?.suspend === true) return 0;
  const ended = (status.conditions ?? []).find(({ type }) => type === 'Complete' || type === 'Failed');
  const until = ended?.lastTransitionTime === undefined ? now : new Date(ended.lastTransitionTime).getTime();
  return Math.max(0, (until - new Date(status.startTime).getTime()) / 1_000);
}
