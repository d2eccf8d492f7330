import type { ModelConfig, RopeScaling } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';
import type { LayerKind } from './layer-kinds.js';

export interface RotaryTable {
  /** Positions it holds. */
  readonly positions: number;
  /** [positions, headDim / 2]. */
  readonly cosines: TensorData;
  readonly sines: TensorData;
}

const STEP = 512;

/** Radians a position, headDim / 2 of them, of the layers of one kind. */
export function rotaryFrequencies(config: ModelConfig, kind: LayerKind): number[] {
  const half = config.headDim / 2;
  const local = kind === 'sliding' ? config.localRopeTheta : undefined;
  const theta = local ?? config.ropeTheta;
  const plain = Array.from({ length: half }, (_, i) => 1 / theta ** (i / half));
  const scaling = local === undefined ? config.ropeScaling : undefined;
  return scaling ? plain.map((frequency) => scaled(frequency, scaling)) : plain;
}

/**
 * Llama 3.1: wavelengths up to originalMaxPositions / highFrequencyFactor stay, those from originalMaxPositions /
 * lowFrequencyFactor on are stretched by factor, and between both the frequencies pass from one to the other linearly
 * (Dubey et al., 2024; reference implementation in llama-models).
 */
function scaled(frequency: number, scaling: RopeScaling): number {
  if (scaling.type === 'linear') return frequency / scaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return (1 - kept) * (frequency / factor) + kept * frequency;
}

/** Angles of rotary position embedding for at least `longest` positions (Su et al., RoFormer). */
export function rotaryTable(config: ModelConfig, kind: LayerKind, longest: number): RotaryTable {
  const frequencies = rotaryFrequencies(config, kind);
  const half = frequencies.length;
  const positions = Math.ceil(longest / STEP) * STEP;
  const angles = Array.from(
    { length: positions * half },
    (_, i) => Math.floor(i / half) * (frequencies[i % half] ?? 0),
  );
  const dims = [positions, half];
  return {
    positions,
    cosines: { data: Float32Array.from(angles, Math.cos), dims },
    sines: { data: Float32Array.from(angles, Math.sin), dims },
  };
}
