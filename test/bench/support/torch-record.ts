import { cpus } from 'node:os';
import { BenchRig } from './bench-rig.js';
import type { Side, TorchBench } from './bench-rig.js';

const DEFAULT = 'llama-factory-default';
const DEFAULT_IN_PRECISION = 'llama-factory-default-but-precision';
/** Its options for speed. What it packs by itself are other rows to a step, so that a step holds about as many tokens. */
export const TUNED = {
  'llama-factory-packed': { neat_packing: true, per_device_train_batch_size: 1, gradient_accumulation_steps: 4 },
  'llama-factory-unpadded': { per_device_train_batch_size: 1, gradient_accumulation_steps: 8 },
};
export interface TorchRecord {
  readonly bench: 'runtime-torch';
  /** Of all but LLaMA-Factory's default, which takes the model's: the fastest of this processor. */
  readonly precision: Side['precision'];
  readonly at: string;
  readonly cores: number;
  readonly processor: string;
  readonly size: TorchBench['size'] & { readonly tokens: number; readonly trainedTokens: number };
  /** Whether LLaMA-Factory makes as many tokens of the rows, and trains as many but for line breaks after answers. */
  readonly sameTokens: boolean;
  /** With LLaMA-Factory's versions of PyTorch's libraries on both sides. */
  readonly ratioToLlamaFactoryDefault: number;
  /** With its defaults but for the precision, which is the fastest of this processor, as on all other sides. */
  readonly ratioToLlamaFactoryDefaultButPrecision: number;
  readonly ratioToLlamaFactoryBest: number;
  /** With the versions of our own lock. */
  readonly ratioToLlamaFactoryDefaultOwnLock: number;
  readonly ratioToLlamaFactoryBestOwnLock: number;
  readonly memoryOfDefault: number;
  readonly memoryOfBest: number;
  readonly sides: readonly Side[];
}

/** One epoch of the same rows on each side, one after the other. */
export async function recordTorch(bench: TorchBench): Promise<TorchRecord> {
  const { ours, theirs, size } = bench;
  const rig = await BenchRig.make(bench);
  const own = await rig.luthier('luthier', ours);
  const matched = await rig.luthier('luthier-their-lock', theirs);
  const tuned: Side[] = [];
  for (const [name, options] of Object.entries(TUNED)) tuned.push(await rig.factoryTuned(name, options));
  const best = tuned.reduce((a, b) => (b.usefulTokensPerSecond > a.usefulTokensPerSecond ? b : a));
  const inPrecision = await rig.factoryInPrecision(DEFAULT_IN_PRECISION, {});
  const byDefault = await rig.factoryByDefault(DEFAULT);

  const ratio = (side: Side, peer: Side): number => side.usefulTokensPerSecond / peer.usefulTokensPerSecond;
  return {
    ...{
      bench: 'runtime-torch',
      at: new Date().toISOString(),
      cores: cpus().length,
      processor: cpus()[0]?.model ?? '',
    },
    precision: rig.precision,
    size: { ...size, tokens: rig.train.tokens, trainedTokens: rig.train.trainedTokens },
    sameTokens: await rig.sameTokens('llama-factory-unpadded'),
    ratioToLlamaFactoryDefault: ratio(matched, byDefault),
    ratioToLlamaFactoryDefaultButPrecision: ratio(matched, inPrecision),
    ratioToLlamaFactoryBest: ratio(matched, best),
    ratioToLlamaFactoryDefaultOwnLock: ratio(own, byDefault),
    ratioToLlamaFactoryBestOwnLock: ratio(own, best),
    memoryOfDefault: matched.peakMemoryMib / inPrecision.peakMemoryMib,
    memoryOfBest: matched.peakMemoryMib / best.peakMemoryMib,
    sides: [own, matched, ...tuned, inPrecision, byDefault],
  };
}
