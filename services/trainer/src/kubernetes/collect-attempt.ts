import { readArtifact } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { OUTCOME_ORDER, runOutcome } from '@luthier/contracts';
import type { RunOutcome } from '@luthier/contracts';
import type { V1Event, V1Pod } from '@luthier/kube';
import type { Checkpoints } from '../endpoint/checkpoints.js';
import type { AttemptKey, Collected } from '../runs/run-executor.js';
import type { Root } from './carriers/carrier.js';
import { explainEnd } from './explain/index.js';
import type { Ending, ViewedNode } from './explain/index.js';
import type { SilentNode } from './observe-attempt.js';

export interface AttemptRemains {
  /** Asks the API itself, which knows of a deletion before the watch. */
  isRootThere: () => Promise<boolean>;
  root: Root | undefined;
  pods: readonly V1Pod[];
  events: readonly V1Event[];
  silentNodes: readonly SilentNode[];
  nodes: readonly ViewedNode[];
  gpuResource: string | undefined;
  nodeLostMs: number | undefined;
  now: number;
}

const MAX_OUTCOME_BYTES = 256 * 1024;
const OUTCOME = /\/(\d+)\/(outcome(?:\.\d+)?\.json)$/;

/** Finds out how an attempt ended once none of its pods runs: from what its runners stored, else from its pods. */
export class AttemptCollector {
  /** Outcomes that came over the run endpoint, for when the store could not take them. */
  private readonly told = new Map<string, RunOutcome>();

  constructor(private readonly parts: { store: ArtifactStore; checkpoints: Checkpoints }) {}

  reported(key: AttemptKey, outcome: RunOutcome, node: number): void {
    this.told.set(`${key.runId}#${key.attempt}#${node}`, outcome);
  }

  forget(runId: string): void {
    for (const name of this.told.keys()) if (name.startsWith(`${runId}#`)) this.told.delete(name);
  }

  async collect(key: AttemptKey, remains: AttemptRemains): Promise<Collected & { avoidNode?: string }> {
    const outcomes = await this.outcomesOf(key);
    const { root, pods } = remains;
    const nodes = root?.spec?.completions ?? Math.max(1, outcomes.length);
    const ending = explainEnd({ ...viewOf(remains), expectedPods: nodes, final: true }, outcomes);
    const avoidNode = ending?.avoidNode;
    const best = mostTelling(outcomes, nodes);
    if (best && !(ending && saysMore(ending, best))) {
      return { outcome: best, missing: false, ...(avoidNode !== undefined && { avoidNode }) };
    }
    // Of a deleted object the pods were killed: that tells nothing but the deletion.
    const isDeleted = async (): Promise<boolean> =>
      root === undefined || root.metadata?.deletionTimestamp !== undefined || !(await remains.isRootThere());
    if (!best && (await isDeleted())) return { outcome: undefined, missing: true };
    if (!ending || ending.code === undefined) return { outcome: undefined, missing: pods.length === 0 };
    const { reason, message, params, excerpt } = ending;
    return {
      outcome: await this.outcomeOf(key, ending, best),
      missing: false,
      explained: { reason, message, params, ...(excerpt !== undefined && { excerpt }) },
      ...(avoidNode !== undefined && { avoidNode }),
    };
  }

  /** As the runner would have written it. */
  private async outcomeOf(key: AttemptKey, ending: Ending, runner: RunOutcome | undefined): Promise<RunOutcome> {
    const checkpoint = await this.parts.checkpoints.newest(key.runId);
    return {
      attempt: key.attempt,
      incarnation: runner?.incarnation ?? 1,
      ...(ending.code !== undefined && { code: ending.code }),
      message: ending.message,
      ...(ending.hint !== undefined && { hint: ending.hint }),
      step: Math.max(ending.step ?? 0, checkpoint?.step ?? 0, runner?.step ?? 0),
      ...(checkpoint && { checkpoint }),
      lastSeq: runner?.lastSeq ?? {},
      eventFiles: runner?.eventFiles ?? [],
    };
  }

  /** Of the newest incarnation that left any, one for each node. */
  private async outcomesOf({ runId, attempt }: AttemptKey): Promise<RunOutcome[]> {
    const prefix = `artifact://runs/${runId}/${attempt}`;
    const byIncarnation = new Map<number, Map<string, RunOutcome>>();
    const add = (incarnation: number, node: string, outcome: RunOutcome): void => {
      const known = byIncarnation.get(incarnation) ?? new Map<string, RunOutcome>();
      byIncarnation.set(incarnation, known.set(node, outcome));
    };
    for (const [name, outcome] of this.told) {
      const node = name.slice(name.lastIndexOf('#') + 1);
      if (name.startsWith(`${runId}#${attempt}#`)) add(outcome.incarnation, node, outcome);
    }
    let after: string | undefined;
    do {
      const page = await this.parts.store.list(prefix, after === undefined ? {} : { after });
      for (const { uri } of page.items) {
        const [, incarnation, name] = OUTCOME.exec(uri) ?? [];
        if (incarnation === undefined || name === undefined) continue;
        const bytes = await readArtifact(this.parts.store, uri, MAX_OUTCOME_BYTES);
        const parsed = runOutcome.safeParse(safeJson(bytes));
        if (parsed.success) add(Number(incarnation), /\.(\d+)\.json$/.exec(name)?.[1] ?? '0', parsed.data);
      }
      after = page.next;
    } while (after !== undefined);
    const newest = Math.max(...byIncarnation.keys());
    return [...(byIncarnation.get(newest)?.entries() ?? [])]
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, outcome]) => outcome);
  }
}

const viewOf = ({ root, pods, events, silentNodes, nodes, gpuResource, nodeLostMs, now }: AttemptRemains) => ({
  ...{ root, pods, events, gpuResource, nodeLostMs, now },
  nodes: [
    ...silentNodes.map(({ name, sinceMs }) => ({ name, ready: false, since: sinceMs })),
    // Of those that answer only the devices are looked at.
    ...nodes.filter(({ brokenGpus = 0 }) => brokenGpus > 0).map((node) => ({ ...node, ready: true })),
  ],
});

const rankOf = (code: RunOutcome['code']): number => {
  if (code === undefined) return OUTCOME_ORDER.length;
  const found = OUTCOME_ORDER.indexOf(code);
  return found < 0 ? 0 : found;
};

/** A fault of any node is the attempt's; success needs every node's. The first node's own fields are kept. */
function mostTelling(outcomes: readonly RunOutcome[], nodes: number): RunOutcome | undefined {
  const worst = outcomes.toSorted((a, b) => rankOf(a.code) - rankOf(b.code))[0];
  if (!worst || (worst.code === undefined && outcomes.length < nodes)) return undefined;
  const [first] = outcomes;
  const eventFiles = outcomes.flatMap((outcome) => outcome.eventFiles);
  const lastSeq = Object.assign({}, ...outcomes.map((outcome) => outcome.lastSeq)) as RunOutcome['lastSeq'];
  // Only the node that reported last knows that a checkpoint was committed.
  const [checkpoint] = outcomes.flatMap((outcome) => outcome.checkpoint ?? []).sort((a, b) => b.step - a.step);
  const ofAll = { eventFiles, lastSeq, ...(checkpoint && { checkpoint }) };
  return worst.code === undefined && first ? { ...first, ...ofAll } : { ...worst, ...ofAll };
}

/** The pods know something that the runner could not: the ground was taken from under it. */
const saysMore = (ending: Ending, outcome: RunOutcome): boolean =>
  outcome.code !== undefined && ending.code !== undefined && rankOf(ending.code) < rankOf(outcome.code);

function safeJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
