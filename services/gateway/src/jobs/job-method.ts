import { AppError, JOB_METHODS } from '@luthier/contracts';
import type { HttpCreateJob, JobRecord, Method } from '@luthier/contracts';
import { toGrader } from './job-grader.js';

type HttpMethod = NonNullable<HttpCreateJob['method']>;
type HttpHyperparameters = NonNullable<HttpCreateJob['hyperparameters']>;

/** A method and what stands beside its own settings. */
interface ToldMethod {
  readonly method: Method;
  readonly hyperparameters: HttpHyperparameters;
}

const METHOD_NAMES = [...JOB_METHODS, 'reinforcement'] as const;

export const known = <T>(value: T | 'auto' | undefined): T | undefined => (value === 'auto' ? undefined : value);

/** What TRL and LLaMA-Factory take; SimPO's are those of its paper, since 0.1 would hardly compare mean tokens. */
const DEFAULT_BETA = 0.1;
const SIMPO = { beta: 2, gamma: 0.5 };
/** As TRL advises: points keep their place, and the comparison hardly notices. */
const CENTER_REWARDS = 0.01;

/** As TRL takes them; without a reference, since a grader says what is good. */
const GRPO = {
  groupSize: 8,
  beta: 0,
  epsilon: 0.2,
  temperature: 1,
  maxCompletionTokens: 256,
  lossType: 'grpo',
} as const;

/** GRPO under the name that OpenAI has for it. */
function toGrpo(given: HttpMethod, name: 'grpo' | 'reinforcement'): ToldMethod {
  const { grader, hyperparameters } = given[name] ?? {};
  if (!grader) {
    const param = `method.${name}.grader`;
    throw new AppError('request.invalid', `${param}: a grader is needed, which says what an answer is worth`, {
      param,
    });
  }
  refuseOfOpenAi(given.reinforcement?.hyperparameters ?? {});
  const { num_generations, max_completion_length, loss_type, num_iterations, ...rest } = hyperparameters ?? {};
  const { beta, epsilon, temperature, ...others } = rest;
  const asked = {
    ...{ groupSize: num_generations, beta: known(beta), epsilon, temperature },
    ...{ maxCompletionTokens: max_completion_length, lossType: loss_type, numIterations: num_iterations },
  };
  const settings = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
  return {
    method: { type: 'grpo', ...GRPO, ...settings, grader: toGrader(grader, `method.${name}.grader`) },
    hyperparameters: withoutOpenAiNames(others),
  };
}

type Reinforcement = NonNullable<NonNullable<HttpMethod['reinforcement']>['hyperparameters']>;

/** OpenAI's `eval_interval` is known here by another name. */
function withoutOpenAiNames({
  eval_interval,
  eval_samples: _all,
  compute_multiplier: _auto,
  reasoning_effort: _none,
  ...rest
}: Reinforcement): HttpHyperparameters {
  const every = known(eval_interval);
  return { ...rest, ...(every !== undefined && { eval_steps: every }) };
}

/** What of OpenAI's has no meaning here may be left to the platform, and is refused where it is asked for. */
function refuseOfOpenAi(given: Reinforcement): void {
  const refused: [boolean, string, string][] = [
    [known(given.eval_samples) !== undefined, 'eval_samples', 'Every held-out prompt is answered.'],
    [known(given.compute_multiplier) !== undefined, 'compute_multiplier', 'Set `num_generations` instead.'],
    [(given.reasoning_effort ?? 'default') !== 'default', 'reasoning_effort', 'Set `max_completion_length` instead.'],
  ];
  const [first] = refused.filter(([asked]) => asked);
  if (!first) return;
  const param = `method.reinforcement.hyperparameters.${first[1]}`;
  throw new AppError('request.unsupported', `${param} is not supported here`, { param, hint: first[2] });
}

/**
 * The method with all of its settings, and the hyperparameters that stand beside them.
 * @throws AppError `request.unsupported` for graders that are not there; `request.invalid` for settings of a method that is not the job's.
 */
export function toMethod(given: HttpMethod | undefined): ToldMethod {
  const type = given?.type ?? 'supervised';
  const foreign = METHOD_NAMES.find((name) => name !== type && given?.[name] !== undefined);
  if (foreign !== undefined) {
    const param = `method.${foreign}`;
    throw new AppError('request.invalid', `${param}: the settings are of another method than "${type}"`, { param });
  }
  switch (type) {
    case 'supervised':
    case 'pretrain':
      return { method: { type }, hyperparameters: given?.[type]?.hyperparameters ?? {} };
    case 'dpo': {
      const { beta, loss_type: loss, label_smoothing: labelSmoothing, ...rest } = given?.dpo?.hyperparameters ?? {};
      const settings = { loss: loss ?? ('sigmoid' as const), labelSmoothing: labelSmoothing ?? 0 };
      return { method: { type, beta: known(beta) ?? DEFAULT_BETA, ...settings }, hyperparameters: rest };
    }
    case 'orpo': {
      const { beta, ...rest } = given?.orpo?.hyperparameters ?? {};
      return { method: { type, beta: known(beta) ?? DEFAULT_BETA }, hyperparameters: rest };
    }
    case 'simpo': {
      const { beta, simpo_gamma: gamma, ...rest } = given?.simpo?.hyperparameters ?? {};
      const settings = { beta: known(beta) ?? SIMPO.beta, gamma: gamma ?? SIMPO.gamma };
      return { method: { type, ...settings }, hyperparameters: rest };
    }
    case 'reward': {
      const { center_rewards_coefficient: coefficient, ...rest } = given?.reward?.hyperparameters ?? {};
      return { method: { type, centerRewardsCoefficient: coefficient ?? CENTER_REWARDS }, hyperparameters: rest };
    }
    case 'grpo':
    case 'reinforcement':
      return toGrpo(given ?? { type }, type);
    case 'kto': {
      const { beta, desirable_weight, undesirable_weight, ...rest } = given?.kto?.hyperparameters ?? {};
      const weights = { desirableWeight: desirable_weight ?? 1, undesirableWeight: undesirable_weight ?? 1 };
      return { method: { type, beta: known(beta) ?? DEFAULT_BETA, ...weights }, hyperparameters: rest };
    }
  }
}

/** A method's own settings in public names. */
export function presentMethodSettings(method: JobRecord['method']): Record<string, number | string> {
  switch (method.type) {
    case 'supervised':
    case 'pretrain':
      return {};
    case 'dpo':
      return { beta: method.beta, loss_type: method.loss, label_smoothing: method.labelSmoothing };
    case 'orpo':
      return { beta: method.beta };
    case 'simpo':
      return { beta: method.beta, simpo_gamma: method.gamma };
    case 'reward':
      return { center_rewards_coefficient: method.centerRewardsCoefficient };
    case 'grpo':
      return {
        ...{ num_generations: method.groupSize, beta: method.beta, epsilon: method.epsilon },
        ...{ temperature: method.temperature, max_completion_length: method.maxCompletionTokens },
        ...{ loss_type: method.lossType, num_iterations: method.numIterations ?? 1 },
      };
    case 'kto':
      return {
        beta: method.beta,
        desirable_weight: method.desirableWeight,
        undesirable_weight: method.undesirableWeight,
      };
  }
}
