import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { ModelShape } from '@luthier/contracts';
import { isFormatError, modelTensors, openSafetensorsModel, readChatTemplate, readModelConfig } from '@luthier/formats';
import type { ModelConfig, SafetensorsModel } from '@luthier/formats';

const READABLE = new Set(['BF16', 'F16', 'F32']);

function checkTensors(model: SafetensorsModel, config: ModelConfig): { parameters: number; weightBytes: number } {
  let parameters = 0;
  let weightBytes = 0;
  for (const [name, shape] of modelTensors(config)) {
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
