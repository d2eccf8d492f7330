import type { ModelConfig } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';

export interface RotaryTable {
  /** Positions it holds. */
  readonly positions: number;
  /** [positions, headDim / 2]. */
  readonly cosines: TensorData;
  readonly sines: TensorData;
}

const STEP = 512;

/** Angles of rotary position embedding for at least `longest` positions (Su et al., RoFormer). */
export function rotaryTable({ headDim, ropeTheta }: ModelConfig, longest: number): RotaryTable {
  const half = headDim / 2;
  const positions = Math.ceil(longest / STEP) * STEP;
  const angles = Array.from(
    { length: positions * half },
    (_, i) => Math.floor(i / half) / ropeTheta ** ((i % half) / half),
  );
  const dims = [positions, half];
  return {
    positions,
    cosines: { data: Float32Array.from(angles, Math.cos), dims },
    sines: { data: Float32Array.from(angles, Math.sin), dims },
  };
}
