import { FormatError } from '../format-error.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import type { RopeScaling } from '../huggingface/rope.js';

type Llama3Scaling = Extract<RopeScaling, { type: 'llama3' }>;

/** The tensor by which llama.cpp divides the rotary frequencies. */
export const ROPE_FACTORS = 'rope_freqs.weight';

/** What each frequency is divided by under Llama 3.1's scaling: long waves by `factor`, short ones by 1, between them smoothly. */
export function ropeFactors(scaling: Llama3Scaling, headDim: number, ropeTheta: number): Float32Array {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositions } = scaling;
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * ropeTheta ** ((2 * i) / headDim);
    if (wavelength < originalMaxPositions / high) return 1;
    if (wavelength > originalMaxPositions / low) return factor;
    const smooth = (originalMaxPositions / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/** All published models have these beside their factor, which alone is not kept in GGUF's tensor as it is. */
const PUBLISHED = { lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8_192 };

/** The scaling whose factors these are. @throws FormatError `format.unsupported` where no published one has them. */
export function scalingOfFactors(
  factors: Float32Array,
  { headDim, ropeTheta }: Pick<ModelConfig, 'headDim' | 'ropeTheta'>,
): Llama3Scaling {
  const scaling: Llama3Scaling = { type: 'llama3', factor: factors.at(-1) ?? 1, ...PUBLISHED };
  const expected = ropeFactors(scaling, headDim, ropeTheta);
  const same =
    factors.length === expected.length &&
    expected.every((value, i) => Math.abs(value - (factors[i] ?? NaN)) <= 1e-5 * value);
  if (same) return scaling;
  throw new FormatError(
    'format.unsupported',
    `GGUF: "${ROPE_FACTORS}" holds other factors than those of Llama 3; take the model's safetensors.`,
    { tensor: ROPE_FACTORS },
  );
}
