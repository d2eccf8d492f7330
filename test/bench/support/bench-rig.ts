import { cp, readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { scoreResult } from '@luthier/contracts';
import { trainSpec } from '../../runtime-conformance/fixtures.js';
import { eventsOfType } from '../../runtime-conformance/runtime-process.js';
import { prepareRows, writeRows, writeSmolLm } from './alpaca-rows.js';
import type { AlpacaRow, PreparedRows } from './alpaca-rows.js';
import { LlamaFactory } from './llama-factory.js';
import type { PeerOptions } from './llama-factory.js';
import { runRuntime, trainWithRuntime } from './torch-run.js';
import type { TrainingRun } from './torch-run.js';

/** Instructions of x86 and Arm; without them a product in bfloat16 takes ten to a hundred times as long. */
const BFLOAT16_FLAGS = /\b(avx512_bf16|amx_bf16|bf16)\b/;
/** One step of the default where it computes in bfloat16 without instructions for it: minutes. */
const ROWS_OF_A_SLOW_DEFAULT = 8;

export interface TorchBench {
  readonly root: string;
  /** The Pythons of the two locks. */
  readonly ours: string;
  readonly theirs: string;
  readonly rows: readonly AlpacaRow[];
  readonly size: { readonly rows: number; readonly heldOutRows: number };
}

/** One training, for the record. */
export interface Side {
  readonly name: string;
  readonly precision: 'float32' | 'bfloat16';
  readonly rows: number;
  /** Tokens that are not padding, over the time of training alone. */
  readonly usefulTokensPerSecond: number;
  readonly trainedTokensPerSecond: number;
  readonly trainingSeconds: number;
  /** Of the whole program. */
  readonly cpuSeconds: number;
  readonly peakMemoryMib: number;
  readonly optimiserSteps: number;
  readonly firstLoss: number;
  /** By our own score of the adapter, on rows that nobody trained. */
  readonly heldOutLoss: number;
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

  get precision(): Side['precision'] {
    return this.spec.precision === 'bfloat16' ? 'bfloat16' : 'float32';
  }

  async luthier(name: string, python: string): Promise<Side> {
    const run = await trainWithRuntime(python, this.spec, join(this.bench.root, name));
    return this.sideOf(name, this.precision, this.train, run);
  }

  /** With options for speed, in the precision that is the fastest here, and without what saves memory for time. */
  async factoryTuned(name: string, options: PeerOptions): Promise<Side> {
    const modelDir = await this.modelIn(this.precision);
    const bf16 = this.precision === 'bfloat16';
    const asked = { ...options, disable_gradient_checkpointing: true, bf16 };
    const run = await this.factory.train(name, { ...this.spec, modelDir }, this.train.file, asked);
    return this.sideOf(name, this.precision, this.train, run);
  }

  /** As it comes: in the precision that the model's configuration names, whatever the processor can. */
  async factoryByDefault(name: string): Promise<Side> {
    const { root, rows, size } = this.bench;
    const few = this.precision === 'bfloat16' ? size.rows : Math.min(ROWS_OF_A_SLOW_DEFAULT, size.rows);
    const file = await writeRows(root, 'first', rows.slice(0, few));
    const first = await prepareRows(root, file, this.spec.modelDir);
    return this.sideOf(name, 'bfloat16', first, await this.factory.train(name, this.spec, file, {}));
  }

  /** Whether LLaMA-Factory made as many tokens of the rows in the training of this name, and trained as many. */
  async sameTokens(name: string): Promise<boolean> {
    const theirs = await this.factory.tokensOf(name);
    return theirs.tokens === this.train.tokens && theirs.trainedTokens === this.train.trainedTokens;
  }

  private async sideOf(
    name: string,
    precision: Side['precision'],
    rows: PreparedRows,
    run: TrainingRun,
  ): Promise<Side> {
    const { trainingSeconds, cpuSeconds, peakMemoryMib, losses, adapterDir } = run;
    return {
      ...{ name, precision, rows: rows.rows },
      usefulTokensPerSecond: rows.tokens / trainingSeconds,
      trainedTokensPerSecond: rows.trainedTokens / trainingSeconds,
      ...{ trainingSeconds, cpuSeconds, peakMemoryMib, optimiserSteps: losses.length },
      firstLoss: losses[0] ?? Number.NaN,
      heldOutLoss: await this.heldOutLoss(name, adapterDir),
    };
  }

  private async heldOutLoss(name: string, adapterDir: string): Promise<number> {
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
    return scoreResult.parse(result).tuned?.loss ?? Number.NaN;
  }

  /** LLaMA-Factory takes the precision of the model's configuration. */
  private async modelIn(precision: Side['precision']): Promise<string> {
    const { modelDir } = this.spec;
    if (precision === 'bfloat16') return modelDir;
    const copy = `${modelDir}-${precision}`;
    await cp(modelDir, copy, { recursive: true });
    const config = JSON.parse(await readFile(join(copy, 'config.json'), 'utf8')) as object;
    await writeFile(join(copy, 'config.json'), JSON.stringify({ ...config, torch_dtype: precision }));
    return copy;
  }
}

async function fastestPrecision(): Promise<Side['precision']> {
  return BFLOAT16_FLAGS.test(await readFile('/proc/cpuinfo', 'utf8')) ? 'bfloat16' : 'float32';
}

function specOf(root: string, modelDir: string, trainDir: string, precision: Side['precision']): RuntimeSpec {
  const spec = trainSpec({ modelDir, trainDir, heldOutDir: trainDir, outputDir: join(root, 'luthier') });
  return {
    ...spec,
    precision,
    tuning: { type: 'lora', r: 8, loraAlpha: 16, loraDropout: 0, targetModules: 'all-linear', useRslora: false },
    hyperparameters: {
      ...spec.hyperparameters,
      ...{ epochs: 1, globalBatch: 8, learningRate: 1e-4, warmupRatio: 0, weightDecay: 0, evaluationSteps: null },
    },
    checkpointing: { everySteps: 1_000_000, keepLast: 1 },
    limits: { memoryMib: 16_384, cpu: cpus().length, deadlineSeconds: 3_600 },
    data: { trainDir },
  };
}
