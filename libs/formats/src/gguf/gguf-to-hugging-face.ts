import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../format-error.js';
import { configText } from '../huggingface/config-text.js';
import { formatModelConfig } from '../huggingface/model-config.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import { fromFloat32 } from '../safetensors/float.js';
import { writeSafetensors } from '../safetensors/write-safetensors.js';
import type { TensorToWrite } from '../safetensors/write-safetensors.js';
import { CHUNK_ELEMENTS } from './convert-rows.js';
import { ggufModelConfig } from './gguf-model-config.js';
import { ggufTokenizerFiles } from './gguf-tokenizer.js';
import { unpermuteRows } from './permute-rows.js';
import { openGguf } from './read-gguf.js';
import type { GgufFile } from './read-gguf.js';
import { ROPE_FACTORS } from './rope-factors.js';
import { tensorNames } from './tensor-names.js';
import type { TensorName } from './tensor-names.js';

async function* convertRows(
  gguf: GgufFile,
  { gguf: name, shape, permuted, offset }: TensorName,
  headDim: number,
): AsyncGenerator<Uint8Array> {
  const rows = shape.length > 1 ? (shape[0] ?? 1) : 1;
  const columns = shape.at(-1) ?? 1;
  // A permuted vector (a bias) is one row in the file: it is read whole.
  const unit = permuted && shape.length > 1 ? headDim : 1;
  const step = Math.max(unit, Math.floor(CHUNK_ELEMENTS / columns / unit) * unit);
  for (let first = 0; first < rows; first += step) {
    const values = await gguf.readRows(name, first, Math.min(rows, first + step));
    if (offset !== 0) for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) - offset;
    yield fromFloat32(permuted ? unpermuteRows(values, headDim, shape.length > 1 ? columns : 1) : values, 'BF16');
  }
}

function modelTensors(gguf: GgufFile, config: ModelConfig): TensorToWrite[] {
  const names = tensorNames(config);
  const known = new Set([...names.map((name) => name.gguf), ROPE_FACTORS]);
  const unknown = [...gguf.tensors.keys()].find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new FormatError(
      'format.unsupported',
      `The GGUF file holds tensor "${unknown.slice(0, 200)}", which a model of type "${config.modelType}" does not have.`,
      { tensor: unknown },
    );
  return names.map((name) => {
    const { shape } = gguf.get(name.gguf);
    if (shape.join() !== name.shape.join()) {
      throw new FormatError(
        'format.malformed',
        `GGUF tensor "${name.gguf}" is [${shape.join(', ')}], expected [${name.shape.join(', ')}].`,
        { tensor: name.gguf },
      );
    }
    return { name: name.huggingFace, dtype: 'BF16', shape, data: () => convertRows(gguf, name, config.headDim) };
  });
}

/**
 * Converts a GGUF model to a Hugging Face folder: BF16 weights, configuration, tokenizer and
 * chat template. Quantised weights are dequantised: the result is what the file computes, not the original checkpoint.
 */
export async function ggufToHuggingFace(options: {
  readonly ggufPath: string;
  readonly outDir: string;
  readonly fsync?: boolean;
}): Promise<ModelConfig> {
  const gguf = await openGguf(options.ggufPath);
  const config = await ggufModelConfig(gguf);
  const files: Record<string, unknown> = {
    'config.json': formatModelConfig(config, 'bfloat16'),
    'generation_config.json': {
      _from_model_config: true,
      bos_token_id: config.bosTokenId ?? null,
      eos_token_id: config.eosTokenIds[0] ?? null,
      pad_token_id: config.padTokenId ?? null,
    },
    ...ggufTokenizerFiles(gguf, config),
  };
  const tensors = modelTensors(gguf, config);
  await mkdir(options.outDir, { recursive: true });
  await writeSafetensors(
    join(options.outDir, 'model.safetensors'),
    tensors,
    { format: 'pt' },
    { fsync: options.fsync ?? false },
  );
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(options.outDir, name), `${configText(content)}\n`, {
      flush: options.fsync ?? false,
    });
  }
  return config;
}
