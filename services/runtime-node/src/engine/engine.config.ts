import { AppError } from '@luthier/contracts';
import { ONNX_PROVIDERS } from '@luthier/lm';
import type { OnnxProvider } from '@luthier/lm';

const ENGINE_NAMES = ['onnx', 'tensorflow'] as const;
type EngineName = (typeof ENGINE_NAMES)[number];

/** What computes, as the environment of the runtime says. */
export interface EngineChoice {
  readonly engine: EngineName;
  /** Of onnx. */
  readonly provider: OnnxProvider;
}

/** @throws AppError `config.bad` naming the variable and what it may be. */
export function readEngineChoice(environment: NodeJS.ProcessEnv = process.env): EngineChoice {
  return {
    engine: oneOf(environment, 'LUTHIER_NODE_ENGINE', ENGINE_NAMES),
    provider: oneOf(environment, 'LUTHIER_NODE_PROVIDER', ONNX_PROVIDERS),
  };
}

/** An empty variable counts as absent; the first choice is the default. */
function oneOf<T extends string>(environment: NodeJS.ProcessEnv, name: string, choices: readonly [T, ...T[]]): T {
  const given = environment[name];
  if (given === undefined || given === '') return choices[0];
  const found = choices.find((choice) => choice === given);
  if (found) return found;
  throw new AppError('config.bad', `${name} is "${given}"; it may be ${choices.join(' or ')}.`, { param: name });
}
