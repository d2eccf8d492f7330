import { AppError, JOB_METHODS } from '@luthier/contracts';
import type { HttpCreateJob, JobMethod, JobRecord, Method } from '@luthier/contracts';

type HttpMethod = NonNullable<HttpCreateJob['method']>;
type HttpHyperparameters = NonNullable<HttpCreateJob['hyperparameters']>;

export const known = <T>(value: T | 'auto' | undefined): T | undefined => (value === 'auto' ? undefined : value);

/** What TRL and LLaMA-Factory take; SimPO's are those of its paper, since 0.1 would hardly compare mean tokens. */
const DEFAULT_BETA = 0.1;
const SIMPO = { beta: 2, gamma: 0.5 };
/** As TRL advises: points keep their place, and the comparison hardly notices. */
const CENTER_REWARDS = 0.01;

/** @throws AppError `request.unsupported` for a method that is not there. */
function methodName(given: HttpMethod | undefined): JobMethod {
  const name = given?.type ?? 'supervised';
  if (name !== 'reinforcement') return name;
  const offered = JOB_METHODS.map((method) => `"${method}"`).join(', ');
  throw new AppError('request.unsupported', `The method "${name}" is not supported; there are ${offered}`, {
    param: 'method.type',
    hint: `Set \`method.type\` to one of ${offered}, or leave \`method\` out.`,
  });
}

/**
 * The method with all of its settings, and the hyperparameters that stand beside them.
 * @throws AppError `request.unsupported`; `request.invalid` for settings of a method that is not the job's.
 */
export function toMethod(given: HttpMethod | undefined): { method: Method; hyperparameters: HttpHyperparameters } {
  const type = methodName(given);
  const foreign = JOB_METHODS.find((name) => name !== type && given?.[name] !== undefined);
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
    case 'kto':
      return {
        beta: method.beta,
        desirable_weight: method.desirableWeight,
        undesirable_weight: method.undesirableWeight,
      };
  }
}
