import type { Executor } from '../executor/executor.js';
import { OnnxExecutor } from '../executor/onnx/onnx-executor.js';
import { TensorFlowExecutor } from '../executor/tensorflow/tensorflow-executor.js';

/** Every executor, as tests run over all of them. */
export const EXECUTORS: readonly (readonly [string, () => Promise<Executor>])[] = [
  ['onnx', () => Promise.resolve(new OnnxExecutor({ threads: 1 }))],
  ['tensorflow', () => TensorFlowExecutor.create()],
];
