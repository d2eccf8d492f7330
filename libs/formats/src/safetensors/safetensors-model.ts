import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../format-error.js';
import type { SafetensorsTensor } from './header.js';
import { openSafetensors } from './read-safetensors.js';
import type { SafetensorsFile } from './read-safetensors.js';

const INDEX_BYTES_MAX = 25_000_000;
const SHARDS_MAX = 10_000;

export interface ModelTensor extends SafetensorsTensor {
  /** Path of the file that holds the tensor. */
  readonly path: string;
}

/** The tensors of a Hugging Face model folder, whether one file or several. */
export class SafetensorsModel {
  constructor(
    readonly files: readonly SafetensorsFile[],
    readonly tensors: ReadonlyMap<string, ModelTensor>,
    private readonly fileByTensor: ReadonlyMap<string, SafetensorsFile>,
  ) {}

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  get(name: string): ModelTensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new FormatError('format.missing', `The model has no tensor "${name}".`, { tensor: name });
    return tensor;
  }

  /** Raw little-endian bytes of a tensor. */
  async read(name: string): Promise<Uint8Array> {
    return this.fileOf(name).read(name);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    return this.fileOf(name).readFloat32(name);
  }

  /** The file that holds a tensor. */
  fileOf(name: string): SafetensorsFile {
    const file = this.fileByTensor.get(name);
    if (!file) throw new FormatError('format.missing', `The model has no tensor "${name}".`, { tensor: name });
    return file;
  }
}

async function readWeightMap(path: string): Promise<Map<string, string>> {
  const { size } = await stat(path);
  if (size > INDEX_BYTES_MAX)
    throw new FormatError('format.too-large', `The weight index has ${size} bytes; the limit is ${INDEX_BYTES_MAX}.`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new FormatError('format.malformed', 'The weight index is not valid JSON.', { path }, { cause });
  }
  const map = (parsed as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null)
    throw new FormatError('format.malformed', 'The weight index has no weight_map.', { path });
  const result = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    // A plain file name only: an index must not be able to point outside its folder.
    if (typeof file !== 'string' || !/^[\w.-]+\.safetensors$/.test(file) || file.startsWith('.')) {
      throw new FormatError(
        'format.malformed',
        `The weight index names an unusable file for "${tensor.slice(0, 200)}".`,
        { tensor },
      );
    }
    result.set(tensor, file);
  }
  return result;
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** Opens `<dir>/model.safetensors`, or the shards named by `<dir>/model.safetensors.index.json`. Reads headers only. */
export async function openSafetensorsModel(dir: string): Promise<SafetensorsModel> {
  const single = join(dir, 'model.safetensors');
  const index = join(dir, 'model.safetensors.index.json');
  const tensors = new Map<string, ModelTensor>();
  const fileOf = new Map<string, SafetensorsFile>();
  const files: SafetensorsFile[] = [];
  if (!(await exists(index))) {
    if (!(await exists(single)))
      throw new FormatError('format.missing', 'The model folder has no model.safetensors and no index of shards.', {
        dir,
      });
    const file = await openSafetensors(single);
    for (const tensor of file.tensors.values()) {
      tensors.set(tensor.name, { ...tensor, path: file.path });
      fileOf.set(tensor.name, file);
    }
    return new SafetensorsModel([file], tensors, fileOf);
  }
  const weightMap = await readWeightMap(index);
  const shards = new Map<string, SafetensorsFile>();
  for (const name of new Set(weightMap.values())) {
    if (shards.size >= SHARDS_MAX)
      throw new FormatError('format.too-large', `The weight index names more than ${SHARDS_MAX} files.`);
    const file = await openSafetensors(join(dir, name));
    shards.set(name, file);
    files.push(file);
  }
  for (const [tensor, name] of weightMap) {
    const file = shards.get(name);
    if (!file) continue;
    tensors.set(tensor, { ...file.get(tensor), path: file.path });
    fileOf.set(tensor, file);
  }
  return new SafetensorsModel(files, tensors, fileOf);
}
