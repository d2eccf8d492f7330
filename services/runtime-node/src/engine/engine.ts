import { AppError } from '@luthier/contracts';
import type { Capabilities } from '@luthier/contracts';
import { ONNX_PROVIDERS, OnnxExecutor, TensorFlowExecutor, providerLack, tensorFlowFlavours } from '@luthier/lm';
import type { Executor } from '@luthier/lm';
import { readEngineChoice } from './engine.config.js';
import type { EngineChoice } from './engine.config.js';

/** What computes a run. @throws AppError `config.bad` when the chosen engine cannot be used here, with the reason. */
export async function openExecutor(threads: number, choice: EngineChoice = readEngineChoice()): Promise<Executor> {
  const { engine, provider } = choice;
  if (engine === 'onnx') {
    const lack = providerLack(provider);
    if (!lack) return new OnnxExecutor({ threads, provider });
    throw new AppError('config.bad', `LUTHIER_NODE_PROVIDER is "${provider}": ${lack}.`, {
      param: 'LUTHIER_NODE_PROVIDER',
    });
  }
  try {
    return await TensorFlowExecutor.create();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('config.bad', `LUTHIER_NODE_ENGINE is "${engine}": ${why}`, {
      param: 'LUTHIER_NODE_ENGINE',
      cause,
    });
  }
}

/** Every engine with what it computes on, whether it can be used on this machine, and why not. */
export async function engineStates(): Promise<Capabilities['engines']> {
  const onnx = ONNX_PROVIDERS.map((provider) => {
    const reason = providerLack(provider);
    return { name: `onnx-${provider}`, usable: !reason, ...(reason && { reason }) };
  });
  const flavours = await tensorFlowFlavours();
  return [...onnx, ...flavours.map((flavour) => ({ ...flavour, name: `tensorflow-${flavour.name}` }))];
}
