import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { scoreResult } from '@luthier/contracts';
import { eventsOfType } from '../../runtime-conformance/runtime-process.js';
import { prepareRows, writeRows, writeSmolLm } from './alpaca-rows.js';
import type { AlpacaRow, PreparedRows } from './alpaca-rows.js';
import { fastestPrecision, modelIn, specOf } from './bench-spec.js';
import type { Precision } from './bench-spec.js';
import { LlamaFactory } from './llama-factory.js';
import type { PeerOptions } from './llama-factory.js';
import { OutOfTime } from './measured-program.js';
import type { Taken } from './measured-program.js';
import { runRuntime, trainWithRuntime } from './torch-run.js';
import type { TrainingRun } from './torch-run.js';

/** One step of the default, which can take half an hour where it computes in bfloat16 without instructions for it. */
const ROWS_OF_A_SLOW_DEFAULT = 8;
const DEADLINE_OF_A_SLOW_DEFAULT_S = 180;

export interface TorchBench {
  readonly root: string;
  /** The Pythons of the two locks. */
  readonly ours: string;
  readonly theirs: string;
  readonly rows: readonly AlpacaRow[];
  readonly size: { readonly rows: number; readonly heldOutRows: number };
}

/** One training, for the record. What was not done within its time has no losses, and was at the most so fast. */
export interface Side {
  readonly name: string;
  readonly precision: Precision;
  readonly rows: number;
  readonly finished: boolean;
  /** Tokens that are not padding, over the time of training alone. */
  readonly usefulTokensPerSecond: number;
  readonly trainedTokensPerSecond: number;
  readonly trainingSeconds: number;
  /** Of the whole program. */
  readonly cpuSeconds: number;
  readonly peakMemoryMib: number;
  readonly optimiserSteps: number;
  readonly firstLoss: number | null;
  /** By our own score of the adapter, on rows that nobody trained. */
  readonly heldOutLoss: number | null;
}

/** A model, rows as both sides read them, and both sides. */
export class BenchRig {
  private constructor(
    private readonly bench: TorchBench,
    private readonly spec: RuntimeSpec,
    readonly train: PreparedRows,
    private readonly heldOut: PreparedRows,
    private readonly factory: LlamaFactory,
  ) {}

  static async make(bench: TorchBench): Promise<BenchRig> {
    const { root, rows, size } = bench;
    const modelDir = join(root, 'model');
    await writeSmolLm(modelDir);
    const train = await prepareRows(root, await writeRows(root, 'train', rows.slice(0, size.rows)), modelDir);
    const kept = rows.slice(size.rows, size.rows + size.heldOutRows);
    const heldOut = await prepareRows(root, await writeRows(root, 'heldout', kept), modelDir);
    const spec = specOf(root, modelDir, train.dir, await fastestPrecision());
    return new BenchRig(bench, spec, train, heldOut, new LlamaFactory(bench.theirs, root));
  }

  get precision(): Precision {
    return this.spec.precision === 'bfloat16' ? 'bfloat16' : 'float32';
  }

  async luthier(name: string, python: string): Promise<Side> {
    const run = await trainWithRuntime(python, this.spec, join(this.bench.root, name));
    return this.sideOf(name, this.precision, this.train, run);
  }

  /** With options for speed, in the precision that is the fastest here, and without what saves memory for time. */
  async factoryTuned(name: string, options: PeerOptions): Promise<Side> {
    const bf16 = this.precision === 'bfloat16';
    return this.factoryInPrecision(name, { ...options, disable_gradient_checkpointing: true, bf16 });
  }

  /** With its defaults but for the options, in the precision that is the fastest here. */
  async factoryInPrecision(name: string, options: PeerOptions): Promise<Side> {
    const modelDir = await modelIn(this.spec.modelDir, this.precision);
    const run = await this.factory.train(name, { ...this.spec, modelDir }, this.train.file, options);
    return this.sideOf(name, this.precision, this.train, run);
  }

  /** As it comes: in the precision that the model's configuration names, whatever the processor can. */
  async factoryByDefault(name: string): Promise<Side> {
    const { root, rows, size } = this.bench;
    if (this.precision === 'bfloat16') return this.factoryInPrecision(name, {});
    const file = await writeRows(root, 'first', rows.slice(0, Math.min(ROWS_OF_A_SLOW_DEFAULT, size.rows)));
    const first = await prepareRows(root, file, this.spec.modelDir);
    const limits = { ...this.spec.limits, deadlineSeconds: DEADLINE_OF_A_SLOW_DEFAULT_S };
    try {
      const run = await this.factory.train(name, { ...this.spec, limits }, file, {});
      return await this.sideOf(name, 'bfloat16', first, run);
    } catch (cause) {
      if (cause instanceof OutOfTime) return unfinished(name, 'bfloat16', first, cause.taken);
      throw cause;
    }
  }

  /**
   * Whether LLaMA-Factory made as many tokens of the rows in the training of this name, and trained as many: it also
   * trains the line break after an answer, one token of each row that was not cut.
   */
  async sameTokens(name: string): Promise<boolean> {
    const theirs = await this.factory.tokensOf(name);
    const { tokens, trainedTokens, sources } = this.train;
    const whole = sources.reduce((sum, { usedRows, cutRows }) => sum + usedRows - cutRows, 0);
    return theirs.tokens === tokens && theirs.trainedTokens === trainedTokens + whole;
  }

  private async sideOf(name: string, precision: Precision, rows: PreparedRows, run: TrainingRun): Promise<Side> {
    const { trainingSeconds, cpuSeconds, peakMemoryMib, losses, adapterDir } = run;
    return {
      ...{ name, precision, rows: rows.rows, finished: true },
      ...speedOf(rows, trainingSeconds),
      ...{ cpuSeconds, peakMemoryMib, optimiserSteps: losses.length },
      firstLoss: losses[0] ?? null,
      heldOutLoss: await this.heldOutLoss(name, adapterDir),
    };
  }

  private async heldOutLoss(name: string, adapterDir: string): Promise<number | null> {
    const outputDir = join(this.bench.root, `${name}-score`);
    const data = { heldOutDir: this.heldOut.dir };
    await runRuntime(this.bench.ours, {
      ...this.spec,
      outputDir,
      mode: 'score',
      precision: 'float32',
      adapterDir,
      data,
    });
    const result = (await eventsOfType(outputDir, 'result'))[0]?.result;
    return scoreResult.parse(result).tuned?.loss ?? null;
  }
}

function speedOf(rows: PreparedRows, trainingSeconds: number) {
  return {
    usefulTokensPerSecond: rows.tokens / trainingSeconds,
    trainedTokensPerSecond: rows.trainedTokens / trainingSeconds,
    trainingSeconds,
  };
}

function unfinished(name: string, precision: Precision, rows: PreparedRows, taken: Taken): Side {
  const { seconds, cpuSeconds, peakMemoryMib } = taken;
  return {
    ...{ name, precision, rows: rows.rows, finished: false },
    ...speedOf(rows, seconds),
    ...{ cpuSeconds, peakMemoryMib, optimiserSteps: 0, firstLoss: null, heldOutLoss: null },
  };
}
