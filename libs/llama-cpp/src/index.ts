export { LlamaEngine } from './llama-engine.js';
export type { GeneratedTokens, GgufModel, LlamaEngineOptions, TokenSampling } from './llama-engine.js';
export { LogitReader } from './logit-reader.js';
export type { LogitReaderOptions } from './logit-reader.js';
export { ThreadAllowance } from './thread-allowance.js';
