import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { openSafetensors, writeSafetensors } from '@luthier/formats';
import { z } from 'zod';
import type { EventBody } from '../control/events-file.js';

const BEST_FILE = 'best.safetensors';
const TENSOR = 'values';

export const earlyStoppingState = z.object({
  /** The last evaluation that counts. A checkpoint is saved before its own step is evaluated. */
  evaluatedStep: z.int().nonnegative(),
  /** Evaluations in a row that were not better than the best. */
  withoutBetter: z.int().nonnegative(),
  best: z.object({ step: z.int().positive(), loss: z.number() }).nullable(),
});
export type EarlyStoppingState = z.output<typeof earlyStoppingState>;

const FRESH: EarlyStoppingState = { evaluatedStep: 0, withoutBetter: 0, best: null };

/**
 * Says when the loss on held-out rows has stopped falling, and keeps what was trained as it was when that loss was
 * lowest (Prechelt 1998). `values` is the flat array of what is trained; as many numbers more are kept.
 */
export class EarlyStopping {
  private readonly bestValues: Float32Array;

  constructor(
    private readonly patience: number,
    private readonly values: Float32Array,
    private current: EarlyStoppingState = FRESH,
  ) {
    this.bestValues = new Float32Array(values.length);
  }

  /** What a checkpoint keeps beside `save`. */
  get state(): EarlyStoppingState {
    return this.current;
  }

  get isOver(): boolean {
    return this.current.withoutBetter >= this.patience;
  }

  /** Counts the evaluation of the values as they are after `step`. A loss that is not finite is no better. */
  observe(step: number, loss: number): void {
    const { best, withoutBetter } = this.current;
    if (Number.isFinite(loss) && (best === null || loss < best.loss)) {
      this.bestValues.set(this.values);
      this.current = { evaluatedStep: step, withoutBetter: 0, best: { step, loss } };
    } else this.current = { evaluatedStep: step, withoutBetter: withoutBetter + 1, best };
  }

  /** Puts the best values in the place of the last ones. Without any, the last ones stay. */
  takeBest(): void {
    if (this.current.best) this.values.set(this.bestValues);
  }

  /** What to say of a run that ends after `step`, before all of them or with a model that is not its last one. */
  outcome(step: number, totalSteps: number): Extract<EventBody, { type: 'warning' }> | undefined {
    const { best, withoutBetter } = this.current;
    if (best?.step === step || (best === null && step >= totalSteps)) return undefined;
    const kept = best
      ? `the model of step ${best.step} is kept, with the lowest loss on the held-out rows (${best.loss.toFixed(4)})`
      : 'the last model is kept, as the loss on the held-out rows was never a finite number';
    return step < totalSteps
      ? {
          type: 'warning',
          code: 'training.ended-early',
          message: `Ended at step ${step} of ${totalSteps}, after ${withoutBetter} evaluations in a row without a lower loss; ${kept}.`,
        }
      : { type: 'warning', code: 'training.best-kept', message: `All ${totalSteps} steps were made; ${kept}.` };
  }

  async save(checkpoint: string): Promise<void> {
    if (!this.current.best) return;
    const tensor = { name: TENSOR, dtype: 'F32' as const, shape: [this.bestValues.length], data: this.bestValues };
    await writeSafetensors(join(checkpoint, BEST_FILE), [tensor], {}, { fsync: true });
  }

  /** Takes the best values that `save` left. Throws RangeError when they are of another model. */
  async load(checkpoint: string): Promise<void> {
    if (!this.current.best) return;
    const stored = await (await openSafetensors(join(checkpoint, BEST_FILE))).readFloat32(TENSOR);
    if (stored.length !== this.bestValues.length)
      throw new RangeError(`${BEST_FILE}: holds ${stored.length} numbers, not ${this.bestValues.length}.`);
    this.bestValues.set(stored);
  }
}

/** Undefined where the spec asks for all steps and the last model. */
export function openEarlyStopping(
  { hyperparameters }: RuntimeSpec,
  values: Float32Array,
  state: EarlyStoppingState | undefined,
): EarlyStopping | undefined {
  const { earlyStoppingPatience } = hyperparameters;
  return earlyStoppingPatience === undefined ? undefined : new EarlyStopping(earlyStoppingPatience, values, state);
}
