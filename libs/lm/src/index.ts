export type { AdamWSettings } from './optim/adamw.js';
export { AdamW } from './optim/adamw.js';
export { AdamW8bit } from './optim/adamw-8bit.js';
export { Adafactor } from './optim/adafactor.js';
export type { Optimiser } from './optim/optimiser.js';
export { globalNorm, loraPlusShare } from './optim/optimiser.js';
export type { ComparedRow, PreferenceSettings, PreferenceTotals } from './methods/preference-share.js';
export { preferenceShare, preferenceTotals } from './methods/preference-share.js';
export type { ScheduleSettings } from './optim/schedule.js';
export { learningRateAt } from './optim/schedule.js';
export type {
  BatchScore,
  DropoutMasks,
  EngineOptions,
  MemoryMode,
  StepInputs,
  Weights,
} from './model/training-engine.js';
export { TrainingEngine } from './model/training-engine.js';
export type { LoadOptions } from './model/load-weights.js';
export { loadWeights, untieWeights } from './model/load-weights.js';
export type { StepGraph } from './model/graphs.js';
export type { TrainedParameters, TrainedTensor } from './model/trained-parameters.js';
export { elementsOf, viewOf } from './model/trained-parameters.js';
export { TrainedWeights, trainedWeightCount } from './model/trained-weights.js';
export type { LoraSettings } from './model/lora.js';
export { LoraAdapter, targetedModules } from './model/lora.js';
export type { PackedBatch, TrainingRow } from './model/packed-batch.js';
export { microBatches, packRows, rowLength, sumByRow, trainedCount } from './model/packed-batch.js';
export type { GreedyOptions } from './model/greedy-tokens.js';
export { greedyTokens } from './model/greedy-tokens.js';
export { logitsAfter, openEngine } from './model/open-engine.js';
export type { OpenEngineOptions } from './model/open-engine.js';
export type { Executor, Program, TensorData } from './executor/executor.js';
export { giveBack } from './executor/give-back.js';
export type { OnnxExecutorOptions } from './executor/onnx/onnx-executor.js';
export type { OnnxProvider } from './executor/onnx/providers.js';
export { ONNX_PROVIDERS, providerLack } from './executor/onnx/providers.js';
export type { FlavourState } from './executor/tensorflow/flavours.js';
export { tensorFlowFlavours } from './executor/tensorflow/flavours.js';
export { TensorFlowExecutor } from './executor/tensorflow/tensorflow-executor.js';
export { OnnxExecutor } from './executor/onnx/onnx-executor.js';
