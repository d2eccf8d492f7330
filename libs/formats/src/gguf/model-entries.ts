import type { ModelConfig } from '../huggingface/model-config.js';
import { ggufArchitecture } from './architectures.js';
import type { GgufEntry } from './write-gguf.js';

type Entries = [string, GgufEntry][];

function scalingEntries(config: ModelConfig, prefix: string): Entries {
  if (config.ropeScaling?.type !== 'linear') return []; // that of Llama 3 lies in a tensor
  return [
    [`${prefix}.rope.scaling.type`, { type: 'string', value: 'linear' }],
    [`${prefix}.rope.scaling.factor`, { type: 'float32', value: config.ropeScaling.factor }],
  ];
}

function gemmaEntries(config: ModelConfig, prefix: string): Entries {
  const entries: Entries = [];
  const { slidingWindow, attentionSoftCap, logitSoftCap } = config;
  if (slidingWindow !== undefined)
    entries.push([`${prefix}.attention.sliding_window`, { type: 'uint32', value: slidingWindow }]);
  if (attentionSoftCap !== undefined)
    entries.push([`${prefix}.attn_logit_softcapping`, { type: 'float32', value: attentionSoftCap }]);
  if (logitSoftCap !== undefined)
    entries.push([`${prefix}.final_logit_softcapping`, { type: 'float32', value: logitSoftCap }]);
  return entries;
}

/** Metadata that says how the model is computed, with llama.cpp's keys. */
export function modelEntries(config: ModelConfig): Entries {
  const { name: prefix, slides } = ggufArchitecture(config);
  const uint32 = (key: string, value: number): [string, GgufEntry] => [`${prefix}.${key}`, { type: 'uint32', value }];
  const float32 = (key: string, value: number): [string, GgufEntry] => [`${prefix}.${key}`, { type: 'float32', value }];
  // Where llama.cpp knows no window, a context no longer than it needs none.
  const window = slides ? Infinity : (config.slidingWindow ?? Infinity);
  return [
    ['general.architecture', { type: 'string', value: prefix }],
    uint32('block_count', config.layers),
    uint32('context_length', Math.min(config.maxPositionEmbeddings, window)),
    uint32('embedding_length', config.hiddenSize),
    uint32('feed_forward_length', config.intermediateSize),
    uint32('attention.head_count', config.attentionHeads),
    uint32('attention.head_count_kv', config.keyValueHeads),
    uint32('attention.key_length', config.headDim),
    uint32('attention.value_length', config.headDim),
    float32('attention.layer_norm_rms_epsilon', config.rmsNormEps),
    float32('rope.freq_base', config.ropeTheta),
    uint32('rope.dimension_count', config.headDim),
    uint32('vocab_size', config.vocabSize),
    ...scalingEntries(config, prefix),
    ...(slides ? gemmaEntries(config, prefix) : []),
  ];
}
