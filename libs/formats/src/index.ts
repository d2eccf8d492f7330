export { FormatError, isFormatError } from './format-error.js';
export type { FormatErrorCode } from './format-error.js';
export { SAFETENSORS_DTYPE_SIZE_BYTES } from './safetensors/dtype.js';
export type { SafetensorsDtype } from './safetensors/dtype.js';
export { fromFloat32, roundToBfloat16, toFloat32 } from './safetensors/float.js';
export { SAFETENSORS_HEADER_BYTES_MAX } from './safetensors/header.js';
export type { SafetensorsHeader, SafetensorsTensor } from './safetensors/header.js';
export { openSafetensors, SafetensorsFile } from './safetensors/read-safetensors.js';
export { openSafetensorsModel, SafetensorsModel } from './safetensors/safetensors-model.js';
export type { ModelTensor } from './safetensors/safetensors-model.js';
export { fsyncFolder, writeSafetensors } from './safetensors/write-safetensors.js';
export type {
  TensorBytes,
  TensorToWrite,
  WriteSafetensorsOptions,
  WrittenFile,
} from './safetensors/write-safetensors.js';
export { openPreparedDataset, PreparedDataset } from './prepared-dataset/prepared-dataset.js';
export type { OpenPreparedDatasetOptions } from './prepared-dataset/prepared-dataset.js';
export { PreparedDatasetWriter } from './prepared-dataset/prepared-dataset-writer.js';
export type {
  FinishedDataset,
  PreparedDatasetOptions,
  PreparedSource,
  RowToStore,
} from './prepared-dataset/prepared-dataset-writer.js';
export { PREPARED_MANIFEST_FILE } from './prepared-dataset/prepared-row.js';
export type { PreparedRow, StoredKind } from './prepared-dataset/prepared-row.js';
export { LLAMA_BLOCKS } from './huggingface/block-switches.js';
export type { BlockSwitches } from './huggingface/block-switches.js';
export { configText } from './huggingface/config-text.js';
export { MODEL_ARCHITECTURES } from './huggingface/families/families.js';
export { formatModelConfig, parseModelConfig, readModelConfig } from './huggingface/model-config.js';
export type { ModelConfig } from './huggingface/model-config.js';
export { hasBias, layerTensors, linearShapes, modelTensors } from './huggingface/model-tensors.js';
export type { RopeScaling } from './huggingface/rope.js';
export { LORA_MODULES, loraTensorName, parseLoraTensorName } from './peft/lora-names.js';
export type { LoraModule } from './peft/lora-names.js';
export {
  SAVED_MODULES,
  checkSavedShape,
  parseSavedModuleTensor,
  savedModuleTensor,
  withSavedModules,
} from './peft/saved-modules.js';
export type { SavedModule, SavedModulesForm } from './peft/saved-modules.js';
export {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  formatAdapterConfig,
  loraScale,
  openPeftAdapter,
  parseAdapterConfig,
  writePeftAdapter,
} from './peft/peft-adapter.js';
export type { LoraConfig, PeftAdapter } from './peft/peft-adapter.js';
export { mergePeftAdapter } from './peft/merge-peft.js';
export type { MergePeftOptions } from './peft/merge-peft.js';
export { GGUF_HEADER_BYTES_MAX } from './gguf/gguf-header.js';
export type { GgufTensor } from './gguf/gguf-header.js';
export type { GgufScalar, GgufTensorType, GgufValue } from './gguf/gguf-types.js';
export { ggufModelConfig } from './gguf/gguf-model-config.js';
export { ggufToHuggingFace } from './gguf/gguf-to-hugging-face.js';
export { GgufFile, openGguf } from './gguf/read-gguf.js';
export { GGUF_OUTPUT_TYPES } from './gguf/convert-rows.js';
export type { GgufOutputType } from './gguf/convert-rows.js';
export { huggingFaceToGguf } from './gguf/hugging-face-to-gguf.js';
export type { HuggingFaceToGgufOptions } from './gguf/hugging-face-to-gguf.js';
export { peftToGguf } from './gguf/peft-to-gguf.js';
export type { PeftToGgufOptions } from './gguf/peft-to-gguf.js';
export { readChatTemplate } from './gguf/hugging-face-tokenizer.js';
export { LINE_BYTES_MAX, readLines } from './jsonl/line-reader.js';
export type { JsonlLine, ReadLinesOptions } from './jsonl/line-reader.js';
export { JSON_ARRAY_BYTES_MAX, readTrainingRows } from './jsonl/read-training-rows.js';
export type { FileRow } from './jsonl/read-training-rows.js';
export type { TrainingRowIssue } from './jsonl/row-issue.js';
export { parseTrainingRow } from './jsonl/parse-training-row.js';
export { conversationOf, textsOf } from './jsonl/training-row.js';
export type {
  ExampleRow,
  MessageRole,
  PairRow,
  ParsedRow,
  PromptRow,
  RatingRow,
  RowFormat,
  TextRow,
  TrainingMessage,
  TrainingRow,
} from './jsonl/training-row.js';
