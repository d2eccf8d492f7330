import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Where ONNX Runtime computes. */
export const ONNX_PROVIDERS = ['cpu', 'cuda'] as const;
export type OnnxProvider = (typeof ONNX_PROVIDERS)[number];

const CUDA_LIBRARY = 'libonnxruntime_providers_cuda.so';

/** Beside the binding, for Linux on x64 only. */
function libraryFolder(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  return join(dirname(entry), '..', 'bin', 'napi-v6', process.platform, process.arch);
}

/** Why a provider cannot be used; undefined: its library is there, which says nothing of a GPU. */
export function providerLack(provider: OnnxProvider, folder: string = libraryFolder()): string | undefined {
  if (provider === 'cpu' || existsSync(join(folder, CUDA_LIBRARY))) return undefined;
  return `${CUDA_LIBRARY} is not in ${folder}; onnxruntime-node's install script puts it there with --onnxruntime-node-install=cuda12`;
}
