import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { ModelShape } from '@luthier/contracts';
import { isFormatError, openSafetensorsModel, readChatTemplate, readModelConfig } from '@luthier/formats';
import type { ModelConfig, SafetensorsModel } from '@luthier/formats';

const READABLE = new Set(['BF16', 'F16', 'F32']);

/** Every tensor that a Llama model of this configuration must have, with its shape. */
export function expectedTensors(config: ModelConfig): Map<string, number[]> {
  const { hiddenSize, intermediateSize, vocabSize, headDim } = config;
  const queries = config.attentionHeads * headDim;
  const keys = config.keyValueHeads * headDim;
  const expected = new Map<string, number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.layers; layer += 1) {
    const put = (name: string, ...shape: number[]): void =>
      void expected.set(`model.layers.${layer}.${name}.weight`, shape);
    put('input_layernorm', hiddenSize);
    put('self_attn.q_proj', queries, hiddenSize);
    put('self_attn.k_proj', keys, hiddenSize);
    put('self_attn.v_proj', keys, hiddenSize);
    put('self_attn.o_proj', hiddenSize, queries);
    put('post_attention_layernorm', hiddenSize);
    put('mlp.gate_proj', intermediateSize, hiddenSize);
    put('mlp.up_proj', intermediateSize, hiddenSize);
    put('mlp.down_proj', hiddenSize, intermediateSize);
  }
  expected.set('model.norm.weight', [hiddenSize]);
  if (!config.tieWordEmbeddings) expected.set('lm_head.weight', [vocabSize, hiddenSize]);
  return expected;
}

function checkTensors(model: SafetensorsModel, config: ModelConfig): { parameters: number; weightBytes: number } {
  let parameters = 0;
  let weightBytes = 0;
  for (const [name, shape] of expectedTensors(config)) {
    if (!model.has(name)) throw new AppError('model.unreadable', `The weights lack the tensor ${name}`);
    const tensor = model.get(name);
    if (tensor.shape.join() !== shape.join()) {
      throw new AppError(
        'model.unreadable',
        `The tensor ${name} has the shape [${tensor.shape.join(', ')}]; config.json asks for [${shape.join(', ')}]`,
      );
    }
    if (!READABLE.has(tensor.dtype)) {
      throw new AppError('model.unsupported', `The tensor ${name} is ${tensor.dtype}; BF16, F16 and F32 are read`);
    }
    parameters += shape.reduce((product, size) => product * size, 1);
    weightBytes += tensor.sizeBytes;
  }
  return { parameters, weightBytes };
}

async function readFolder(dir: string): Promise<ModelShape> {
  const config = await readModelConfig(dir);
  const counts = checkTensors(await openSafetensorsModel(dir), config);
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    const found = await stat(join(dir, name)).catch(() => undefined);
    if (!found) throw new AppError('model.unreadable', `The model has no ${name}`);
  }
  if ((await readChatTemplate(dir)) === undefined) {
    throw new AppError('model.unreadable', 'The model has no chat template', {
      hint: 'Take the instruct version of the model, or put a chat_template.jinja into its folder.',
    });
  }
  return {
    architecture: config.architecture,
    hiddenSize: config.hiddenSize,
    intermediateSize: config.intermediateSize,
    layers: config.layers,
    heads: config.attentionHeads,
    kvHeads: config.keyValueHeads,
    headDim: config.headDim,
    vocabularySize: config.vocabSize,
    tiedEmbeddings: config.tieWordEmbeddings,
    contextLength: config.maxPositionEmbeddings,
    ...counts,
  };
}

/**
 * Reads configuration, tensor headers, tokenizer and chat template of a Hugging Face folder.
 * @throws AppError `model.unsupported` or `model.unreadable` that names the file, field or tensor.
 */
export async function checkModelFolder(dir: string): Promise<ModelShape> {
  return readFolder(dir).catch((thrown: unknown) => {
    if (!isFormatError(thrown)) throw thrown;
    const code = thrown.code === 'format.unsupported' ? 'model.unsupported' : 'model.unreadable';
    throw new AppError(code, thrown.message, { cause: thrown });
  });
}
