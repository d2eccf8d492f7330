import { basename } from 'node:path';
import { FormatError } from '../format-error.js';
import { readModelConfig } from '../huggingface/model-config.js';
import { linearShapes } from '../huggingface/model-tensors.js';
import { LORA_MODULES, parseLoraTensorName } from '../peft/lora-names.js';
import { loraScale, openPeftAdapter } from '../peft/peft-adapter.js';
import type { WrittenFile } from '../safetensors/write-safetensors.js';
import { ggufArchitecture } from './architectures.js';
import { checkShape, convertRows } from './convert-rows.js';
import { GGUF_FILE_TYPE } from './gguf-types.js';
import { ggufModule } from './tensor-names.js';
import { writeGguf } from './write-gguf.js';
import type { GgufEntry, GgufTensorToWrite } from './write-gguf.js';

export interface PeftToGgufOptions {
  readonly adapterDir: string;
  /** Folder of the base model; its configuration says how rows of q and k are ordered. */
  readonly modelDir: string;
  readonly ggufPath: string;
  readonly name?: string;
  readonly fsync?: boolean;
}

/** Writes a PEFT LoRA adapter as a GGUF adapter (F32) for use beside the base model's GGUF file. */
export async function peftToGguf(options: PeftToGgufOptions): Promise<WrittenFile> {
  const { adapterDir, modelDir, ggufPath, name = basename(adapterDir) } = options;
  const base = await readModelConfig(modelDir);
  const architecture = ggufArchitecture(base);
  const shapes = linearShapes(base);
  const { config, weights } = await openPeftAdapter(adapterDir);
  const tensors = [...weights.tensors.values()].map((tensor): GgufTensorToWrite => {
    const parsed = parseLoraTensorName(tensor.name);
    const module = parsed && `${LORA_MODULES[parsed.module]}.${parsed.module}`;
    const [shape, ggufName] = [shapes.get(module ?? ''), ggufModule(module ?? '')];
    if (!parsed || parsed.layer >= base.layers || !shape || ggufName === undefined)
      throw new FormatError('format.invalid-input', `"${tensor.name}" is not part of the base model.`, {
        tensor: tensor.name,
      });
    const [out, inner] = shape;
    checkShape(tensor, parsed.part === 'A' ? [config.rank, inner] : [out, config.rank]);
    // Only the output side is permuted: the rows of B are the rows of the product.
    const rotated = parsed.part === 'B' && (parsed.module === 'q_proj' || parsed.module === 'k_proj');
    const headDim = architecture.permuted && rotated ? base.headDim : undefined;
    return {
      name: `blk.${parsed.layer}.${ggufName}.weight.lora_${parsed.part === 'A' ? 'a' : 'b'}`,
      type: 'F32',
      shape: tensor.shape,
      data: () => convertRows(weights, tensor, { type: 'F32', headDim }),
    };
  });
  const metadata = new Map<string, GgufEntry>([
    ['general.architecture', { type: 'string', value: architecture.name }],
    ['general.type', { type: 'string', value: 'adapter' }],
    ['general.name', { type: 'string', value: name }],
    ['general.file_type', { type: 'uint32', value: GGUF_FILE_TYPE.F32 }],
    ['adapter.type', { type: 'string', value: 'lora' }],
    // llama.cpp scales by alpha/r; the product with r makes rsLoRA come out right as well.
    ['adapter.lora.alpha', { type: 'float32', value: loraScale(config) * config.rank }],
  ]);
  return writeGguf(ggufPath, metadata, tensors, { fsync: options.fsync ?? false });
}
