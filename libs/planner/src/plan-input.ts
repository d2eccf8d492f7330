import { PREPARED_FOR_METHOD } from '@luthier/contracts';
import type { Hyperparameters, Method, ModelShape, Obstacle, Precision, Tuning } from '@luthier/contracts';

/** The part of an inventory's profile that a plan is made against. */
export interface PlanProfile {
  name: string;
  /** Decides how memory is spent. */
  runtime: string;
  device: string;
  cpus: number;
  devices: number;
  /** What one run may take at most. */
  memoryMib: number;
  freeMemoryMib: number;
  /** Of the machine, where the device has memory of its own. */
  hostMemoryMib?: number | undefined;
  /** What its devices compute in; undefined: not known. */
  precisions?: readonly string[] | undefined;
  /** Most devices on one node, and nodes with devices; undefined: not known. */
  maxDevicesPerNode?: number | undefined;
  nodes?: number | undefined;
  /** Why not even the smallest run could start now. */
  why?: string | undefined;
  obstacle?: Obstacle | undefined;
}

export interface PlanInput {
  shape: ModelShape;
  method: Method['type'];
  tuning: Tuning;
  hyperparameters: Hyperparameters;
  /** What batches count; a pair is one. */
  rows: number;
  longestRowTokens: number;
  /** Of what goes through the model as a whole; @default what `longestRowTokens` lets expect at most. */
  longestPassTokens?: number;
  /** All tokens of one pass over the rows. */
  tokensPerEpoch: number;
  cutoffLength: number;
  /** Less than the profile gives, after more has proved too much: chooses the way of spending memory. */
  memoryCapMib?: number | null;
  /** Processes that share each batch, each on a device of its own, or each on a node without devices. @default 1 */
  worldSize?: number;
  /** Of the job; null: what the device is fastest in. */
  precision?: Precision | null;
  /** Trained tokens by all tokens; 1 where it is not known. */
  trainedShare?: number;
  /**
   * Of a method that has the model answer each prompt several times. `stepsEach`: how many steps learn from an answer;
   * `nearStart`: the model is held near to what it was.
   */
  answers?: { toEach: number; tokensMax: number; stepsEach: number; nearStart: boolean };
  /** Undefined: nobody knows yet what there is to run on. */
  profile: PlanProfile | undefined;
}

/** Tokens of the longest row after the cut. */
export const rowTokensOf = (input: PlanInput): number =>
  Math.max(1, Math.min(input.longestRowTokens, input.cutoffLength));

/** A pair goes through the model as a whole, and KTO also gives it prompts with the answers of other rows. */
const ROWS_A_PASS = { sft: 1, pretrain: 1, preference: 2, kto: 2, prompts: 1 } as const;

/** Tokens of the largest thing that goes through the model as a whole. */
export function passTokensOf(input: PlanInput): number {
  const rows = ROWS_A_PASS[PREPARED_FOR_METHOD[input.method]];
  const stored = Math.min(input.longestPassTokens ?? rows * input.longestRowTokens, rows * input.cutoffLength);
  return stored + (input.answers?.tokensMax ?? 0);
}
