import type { Hyperparameters, ModelShape, Obstacle, Tuning } from '@luthier/contracts';

/** The part of an inventory's profile that a plan is made against. */
export interface PlanProfile {
  name: string;
  device: string;
  cpus: number;
  devices: number;
  /** What one run may take at most. */
  memoryMib: number;
  freeMemoryMib: number;
  /** Why not even the smallest run could start now. */
  why?: string | undefined;
  obstacle?: Obstacle | undefined;
}

export interface PlanInput {
  shape: ModelShape;
  tuning: Tuning;
  hyperparameters: Hyperparameters;
  rows: number;
  longestRowTokens: number;
  /** All tokens of one pass over the rows. */
  tokensPerEpoch: number;
  cutoffLength: number;
  /** Less than the profile gives, after more has proved too much: chooses the way of spending memory. */
  memoryCapMib?: number | null;
  /** Devices that share each batch, each with all weights. @default 1 */
  worldSize?: number;
  /** Trained tokens by all tokens; 1 where it is not known. */
  trainedShare?: number;
  /** Undefined: nobody knows yet what there is to run on. */
  profile: PlanProfile | undefined;
}

/** Tokens of the longest row after the cut. */
export const rowTokensOf = (input: PlanInput): number =>
  Math.max(1, Math.min(input.longestRowTokens, input.cutoffLength));
