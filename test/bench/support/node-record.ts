import { cpus } from 'node:os';
import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { prepareRows, writeRows, writeSmolLm } from './alpaca-rows.js';
import type { AlpacaRow, PreparedRows } from './alpaca-rows.js';
import { fastestPrecision, modelIn, specOf } from './bench-spec.js';
import type { Precision } from './bench-spec.js';
import { LlamaFactory } from './llama-factory.js';
import type { PeerOptions } from './llama-factory.js';
import { OutOfTime } from './measured-program.js';
import { trainEagerly, trainWithNode } from './node-run.js';
import type { NodeTraining } from './node-run.js';
import { TUNED } from './torch-record.js';

const DEADLINE_OF_THE_DEFAULT_S = 600;

export interface NodeBench {
  readonly root: string;
  /** The Pythons of our own lock, and of LLaMA-Factory's. */
  readonly torch: string;
  readonly factory: string;
  readonly rows: readonly AlpacaRow[];
  readonly size: { readonly rows: number; readonly repeats: number };
}

/** One training, for the record. What was not done within its time has no losses, and was at the most so fast. */
export interface NodeSide {
  readonly name: string;
  readonly precision: Precision;
  readonly finished: boolean;
  /** Tokens that are not padding, over the time of training alone. */
  readonly usefulTokensPerSecond: number;
  readonly trainedTokensPerSecond: number;
  readonly trainingSeconds: number;
  readonly cpuSeconds: number;
  readonly peakMemoryMib: number;
  readonly losses: readonly number[];
}

export interface NodeRecord {
  readonly bench: 'runtime-node';
  readonly at: string;
  readonly cores: number;
  readonly processor: string;
  readonly size: NodeBench['size'] & { readonly tokens: number; readonly trainedTokens: number };
  /** Of the fastest run of each side. */
  readonly ratioToEagerPyTorch: number;
  readonly ratioToLlamaFactoryDefault: number;
  /** The fastest of its options, in the precision that is the fastest of this processor. */
  readonly ratioToLlamaFactoryBest: number;
  /** The fastest of its options in float32, in which we compute. */
  readonly ratioToLlamaFactoryBestFloat32: number;
  readonly layerModeSpeedRatio: number;
  readonly layerModePeakMib: number;
  /** Layer by layer beside weights of 8 bits, to the same in float32. */
  readonly eightBitSpeedRatio: number;
  readonly eightBitPeakMib: number;
  /** Largest difference of a step's loss from that in float32, as a share of it. */
  readonly eightBitLossDifference: number;
  /** Largest difference of a step's loss from that of eager PyTorch, as a share of it. */
  readonly lossDifference: number;
  /** In the order in which they ran. */
  readonly sides: readonly NodeSide[];
}

/** One epoch of the same rows on each side, one after the other; ours before and after the peers, so that noise shows. */
export async function recordNode(bench: NodeBench): Promise<NodeRecord> {
  const rig = await NodeRig.make(bench);
  await rig.luthierInBothModes();
  for (let repeat = 0; repeat < bench.size.repeats; repeat += 1) await rig.eager('eager-pytorch');
  await rig.factoryByDefault('llama-factory-default');
  const precision = await fastestPrecision();
  for (const [name, options] of Object.entries(TUNED)) {
    await rig.factoryTuned(name, precision, options);
  }
  const unpadded = 'llama-factory-unpadded';
  if (precision !== 'float32') await rig.factoryTuned(`${unpadded}-float32`, 'float32', TUNED[unpadded]);
  await rig.luthierInBothModes();
  await rig.luthierOfEightBits('luthier-layer-mode-8-bits');
  return rig.record();
}

class NodeRig {
  private readonly sides: NodeSide[] = [];

  private constructor(
    private readonly bench: NodeBench,
    private readonly spec: RuntimeSpec,
    private readonly train: PreparedRows,
    private readonly factory: LlamaFactory,
  ) {}

  static async make(bench: NodeBench): Promise<NodeRig> {
    const { root, rows, size } = bench;
    const modelDir = join(root, 'model');
    await writeSmolLm(modelDir);
    const train = await prepareRows(root, await writeRows(root, 'train', rows.slice(0, size.rows)), modelDir);
    const spec = specOf(root, modelDir, train.dir, 'float32');
    return new NodeRig(bench, spec, train, new LlamaFactory(bench.factory, root));
  }

  async luthierInBothModes(): Promise<void> {
    await this.luthier('luthier-whole-step', { memoryMode: 'whole-step' });
    await this.luthier('luthier-layer-mode', { memoryMode: 'layer-recompute' });
  }

  async luthier(name: string, change: Partial<RuntimeSpec>): Promise<void> {
    this.add(
      name,
      'float32',
      await trainWithNode(this.bench.torch, { ...this.spec, ...change, outputDir: this.dir(name) }),
    );
  }

  async luthierOfEightBits(name: string): Promise<void> {
    const { tuning } = this.spec;
    if (tuning.type !== 'lora') throw new Error('compares LoRA');
    await this.luthier(name, { memoryMode: 'layer-recompute', tuning: { ...tuning, type: 'qlora', bits: 8 } });
  }

  async eager(name: string): Promise<void> {
    this.add(name, 'float32', await trainEagerly(this.bench.torch, { ...this.spec, outputDir: this.dir(name) }));
  }

  /** In the precision that the model's configuration names, whatever the processor can. */
  async factoryByDefault(name: string): Promise<void> {
    const limits = { ...this.spec.limits, deadlineSeconds: DEADLINE_OF_THE_DEFAULT_S };
    try {
      this.add(name, 'bfloat16', await this.factory.train(name, { ...this.spec, limits }, this.train.file, {}));
    } catch (cause) {
      if (!(cause instanceof OutOfTime)) throw cause;
      const { seconds: trainingSeconds } = cause.taken;
      this.add(name, 'bfloat16', { ...cause.taken, trainingSeconds, losses: [] }, false);
    }
  }

  /** Without what saves memory for time. */
  async factoryTuned(name: string, precision: Precision, options: PeerOptions): Promise<void> {
    const modelDir = await modelIn(this.spec.modelDir, precision);
    const all = { ...options, disable_gradient_checkpointing: true, bf16: precision === 'bfloat16' };
    this.add(name, precision, await this.factory.train(name, { ...this.spec, modelDir }, this.train.file, all));
  }

  record(): NodeRecord {
    const whole = this.fastest((side) => side.name === 'luthier-whole-step');
    const layers = this.fastest((side) => side.name === 'luthier-layer-mode');
    const eager = this.fastest((side) => side.name === 'eager-pytorch');
    const eightBits = this.fastest((side) => side.name === 'luthier-layer-mode-8-bits');
    const tuned = (side: NodeSide): boolean => Object.keys(TUNED).some((name) => side.name.startsWith(name));
    const ratio = (peer: NodeSide): number => whole.usefulTokensPerSecond / peer.usefulTokensPerSecond;
    const { tokens, trainedTokens } = this.train;
    return {
      ...{ bench: 'runtime-node', at: new Date().toISOString(), cores: cpus().length },
      processor: cpus()[0]?.model ?? '',
      size: { ...this.bench.size, tokens, trainedTokens },
      ratioToEagerPyTorch: ratio(eager),
      ratioToLlamaFactoryDefault: ratio(this.fastest((side) => side.name === 'llama-factory-default')),
      ratioToLlamaFactoryBest: ratio(this.fastest(tuned)),
      ratioToLlamaFactoryBestFloat32: ratio(this.fastest((side) => tuned(side) && side.precision === 'float32')),
      layerModeSpeedRatio: layers.usefulTokensPerSecond / whole.usefulTokensPerSecond,
      layerModePeakMib: layers.peakMemoryMib,
      eightBitSpeedRatio: eightBits.usefulTokensPerSecond / layers.usefulTokensPerSecond,
      eightBitPeakMib: eightBits.peakMemoryMib,
      eightBitLossDifference: lossDifference(eightBits, layers),
      lossDifference: lossDifference(whole, eager),
      sides: this.sides,
    };
  }

  private dir(name: string): string {
    return join(this.bench.root, `${name}-${this.sides.length}`);
  }

  private add(name: string, precision: Precision, run: NodeTraining, finished = true): void {
    const { trainingSeconds, cpuSeconds, peakMemoryMib, losses } = run;
    const side = {
      ...{ name, precision, finished },
      usefulTokensPerSecond: this.train.tokens / trainingSeconds,
      trainedTokensPerSecond: this.train.trainedTokens / trainingSeconds,
      ...{ trainingSeconds, cpuSeconds, peakMemoryMib, losses },
    };
    console.log(`${name}: ${side.usefulTokensPerSecond.toFixed(1)} tokens/s, ${peakMemoryMib.toFixed(0)} MiB`);
    this.sides.push(side);
  }

  private fastest(of: (side: NodeSide) => boolean): NodeSide {
    const [first, ...rest] = this.sides.filter(of);
    if (!first) throw new Error('a side did not run');
    return rest.reduce((a, b) => (b.usefulTokensPerSecond > a.usefulTokensPerSecond ? b : a), first);
  }
}

const lossDifference = (side: NodeSide, from: NodeSide): number =>
  Math.max(...side.losses.map((loss, i) => Math.abs(loss / (from.losses[i] ?? 0) - 1)));
