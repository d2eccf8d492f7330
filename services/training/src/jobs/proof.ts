import { givesPoints } from '@luthier/contracts';
import type { Job } from './job.js';

const SUCCESS = 'The job has successfully completed';

/** Why there is nothing to compare the model with its base on, in a sentence; null: there is. Pure. */
export function nothingToCompare({ request }: Pick<Job, 'request'>): string | null {
  if (givesPoints(request.method.type)) {
    return (
      'A reward model gives points instead of answers, so there are no answers to compare; ' +
      'how often it has ranked held-out pairs rightly stands in the result.'
    );
  }
  if (request.method.type === 'grpo' && request.generalFile === null) {
    return (
      'Prompts hold no answers to compare with; ' +
      'what the answers of base and tuned model to held-out prompts are worth stands in the result.'
    );
  }
  if (request.validationFile !== null || request.generalFile !== null) return null;
  return (
    'The job has no held-out rows, so nothing shows whether the model is better than its base; ' +
    'give the next job a validation_file.'
  );
}

/** The last sentence of a job that succeeded: what can be relied on, and what cannot. */
export const lastWords = (unprovenBecause: string | null): string =>
  unprovenBecause === null ? SUCCESS : `The job has succeeded, but the model is unproven: ${unprovenBecause}`;
