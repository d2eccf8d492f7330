import { AppError, ERRORS, classifyEnd, runOutcome } from '@luthier/contracts';
import type { Classification, RunOutcome } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import type { Checkpoints } from '../endpoint/checkpoints.js';
import type { RunPublisher } from '../endpoint/run-publisher.js';
import type { AttemptKey, Collected } from '../runs/run-executor.js';
import { forwardLeftovers } from './leftover-events.js';
import type { LastWords } from './leftover-events.js';
import type { RunFolder } from './run-folder.js';
import { storeEventFiles } from './store-event-files.js';

export interface RunnerEnd {
  /** What the runner reported over HTTP in this life of the trainer. */
  reported: RunOutcome | undefined;
  exitCode: number | null;
  signal: string | null;
  /** Ended by us, or with an earlier life of the trainer. */
  interrupted: boolean;
}

const MAX_OUTCOME_BYTES = 256 * 1024;
/** Local processes have one set of pods an attempt. */
const INCARNATION = 1;

/** Finds out how an attempt ended, once nothing of it runs any more. */
export class OutcomeCollector {
  constructor(private readonly parts: { store: ArtifactStore; publisher: RunPublisher; checkpoints: Checkpoints }) {}

  async collect(key: AttemptKey, folder: RunFolder, end: RunnerEnd): Promise<Collected> {
    const incarnation = { ...key, incarnation: INCARNATION };
    const words = await forwardLeftovers({
      outputDir: folder.outputDir(INCARNATION),
      acknowledged: await folder.acknowledged(),
      publish: (events) => this.parts.publisher.publish(incarnation, events),
    });
    const told = end.reported ?? (await folder.outcome()) ?? (await this.stored(key));
    if (told) return { outcome: told, missing: false };
    if (!(await folder.exists())) return { outcome: undefined, missing: true };
    const checkpoint = await this.parts.checkpoints.newest(key.runId);
    const judged = judge(words, end);
    const outcome: RunOutcome = {
      ...incarnation0(key),
      ...judged,
      step: Math.max(words.step, judged.code === undefined ? 0 : (words.failed?.step ?? 0)),
      ...(judged.code === undefined && words.result && { result: words.result.result }),
      ...(checkpoint && { checkpoint }),
      lastSeq: words.lastSeq,
      eventFiles: await storeEventFiles(this.parts.store, {
        outputDir: folder.outputDir(INCARNATION),
        baseUri: baseUriOf(key),
        ranks: Object.keys(words.lastSeq),
      }),
    };
    return { outcome, missing: false };
  }

  private async stored(key: AttemptKey): Promise<RunOutcome | undefined> {
    const uri = `${baseUriOf(key)}/outcome.json`;
    const bytes = await readArtifact(this.parts.store, uri, MAX_OUTCOME_BYTES).catch((cause: unknown) => {
      if (cause instanceof AppError && cause.code === 'storage.not-found') return undefined;
      throw cause; // out of reach is not the same as not there
    });
    return bytes && runOutcome.safeParse(JSON.parse(bytes.toString())).data;
  }
}

const baseUriOf = ({ runId, attempt }: AttemptKey): string => `artifact://runs/${runId}/${attempt}/${INCARNATION}`;

const incarnation0 = ({ attempt }: AttemptKey): Pick<RunOutcome, 'attempt' | 'incarnation'> => ({
  attempt,
  incarnation: INCARNATION,
});

/**
 * Without the runner's own outcome: the last lines, else how the runner ended. A train run's result counts only with its
 * artifact stored, which only the runner does: such a run goes on from its last checkpoint and saves again.
 */
function judge(words: LastWords, end: RunnerEnd): Classification {
  if (words.failed) {
    const { code, message, hint } = words.failed;
    return { code, message, hint };
  }
  if (words.result && words.result.result.mode !== 'train') return { message: 'The run has ended with a result.' };
  if (end.interrupted) {
    return {
      code: 'runtime.interrupted',
      message: 'The run was interrupted.',
      hint: ERRORS['runtime.interrupted'].hint,
    };
  }
  return classifyEnd({ exitCode: end.exitCode, signal: end.signal, hasResult: false, oomKilled: false });
}
