import type { Job, JobBody } from '../../lib/api/jobs';
import { graderFormOf } from './grader-form';
import type { Grader, GraderForm } from './grader-form';
import type { Method } from './job-methods';

/** What a method has beside the settings of every method. */
export type MethodSetting =
  | ('beta' | 'gamma' | 'labelSmoothing' | 'centring' | 'desirableWeight' | 'undesirableWeight')
  | ('groupSize' | 'stepsEach' | 'answerTokens' | 'temperature');

export const SETTINGS_OF_METHOD: Readonly<Record<Method, readonly MethodSetting[]>> = {
  supervised: [],
  pretrain: [],
  dpo: ['beta', 'labelSmoothing'],
  orpo: ['beta'],
  simpo: ['beta', 'gamma'],
  reward: ['centring'],
  kto: ['beta', 'desirableWeight', 'undesirableWeight'],
  grpo: ['groupSize', 'stepsEach', 'answerTokens', 'temperature', 'beta'],
};

const PUBLIC_NAMES: Readonly<Record<MethodSetting, string>> = {
  beta: 'beta',
  gamma: 'simpo_gamma',
  labelSmoothing: 'label_smoothing',
  centring: 'center_rewards_coefficient',
  desirableWeight: 'desirable_weight',
  undesirableWeight: 'undesirable_weight',
  groupSize: 'num_generations',
  stepsEach: 'num_iterations',
  answerTokens: 'max_completion_length',
  temperature: 'temperature',
};

/** The method of a request with what was given; the rest is left to the platform. */
export function methodBody(
  type: Method,
  hyperparameters: Readonly<Record<string, number | string>>,
  given: (setting: MethodSetting) => number | undefined,
  grader?: Grader,
): NonNullable<JobBody['method']> {
  const own = SETTINGS_OF_METHOD[type].flatMap((setting) => {
    const value = given(setting);
    return value === undefined ? [] : [[PUBLIC_NAMES[setting], value] as const];
  });
  return {
    type,
    [type]: { ...(grader && { grader }), hyperparameters: { ...hyperparameters, ...Object.fromEntries(own) } },
  };
}

/** The fields of the form as an earlier job was asked for. */
export function methodSettingsOf(
  method: Job['method'],
): { method: Method | '' } & Partial<Record<MethodSetting, string>> & Partial<GraderForm> {
  switch (method.type) {
    case 'supervised':
    case 'pretrain':
      return { method: method.type };
    case 'dpo':
      return { method: method.type, beta: String(method.beta), labelSmoothing: String(method.label_smoothing) };
    case 'orpo':
      return { method: method.type, beta: String(method.beta) };
    case 'simpo':
      return { method: method.type, beta: String(method.beta), gamma: String(method.gamma) };
    case 'kto':
      return {
        method: method.type,
        beta: String(method.beta),
        desirableWeight: String(method.desirable_weight),
        undesirableWeight: String(method.undesirable_weight),
      };
    case 'grpo':
      return {
        ...graderFormOf(method.grader),
        method: method.type,
        groupSize: String(method.group_size),
        stepsEach: String(method.num_iterations ?? 1),
        answerTokens: String(method.max_completion_tokens),
        temperature: String(method.temperature),
        beta: method.beta > 0 ? String(method.beta) : '',
      };
    case 'reward':
      return { method: method.type, centring: String(method.center_rewards_coefficient) };
  }
}
