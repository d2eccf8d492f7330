import { AppError } from '@luthier/contracts';
import type { PreparedDataset } from '@luthier/formats';
import type { TrainingBatches } from '../inputs/global-batches.js';
import { TokenObjective } from './objective.js';
import type { Objective, Surroundings } from './objective.js';
import { PreferenceObjective } from './preference-objective.js';

/** What the run's method minimises; a run that only scores has no batches. */
export function openObjective(
  around: Surroundings,
  train: TrainingBatches | undefined,
  heldOut: PreparedDataset | undefined,
): Objective {
  const { method } = around.spec;
  switch (method.type) {
    case 'supervised':
    case 'pretrain':
      return new TokenObjective(around, train?.dataset);
    case 'dpo':
    case 'orpo':
    case 'simpo':
    case 'kto':
      return new PreferenceObjective(around, method, { train, heldOut });
    case 'reward':
    case 'grpo':
      throw new AppError('config.bad', `This runtime does not know the method "${method.type}".`, { param: 'method' });
  }
}
