import { join } from 'node:path';
import type { ExportParity } from '@luthier/contracts';
import { isFormatError, openPeftAdapter } from '@luthier/formats';
import { GGUF_FILE } from '../made-format.js';
import type { ExportInput } from '../made-format.js';
import { checkParity } from './check-parity.js';
import type { ParityInput, ParityLimits } from './parity-input.js';

/** False for adapters that our own engine does not compute. */
async function isComputed(adapterDir: string): Promise<boolean> {
  try {
    await openPeftAdapter(adapterDir, { beyondLora: true });
    return true;
  } catch (thrown) {
    if (isFormatError(thrown)) return false;
    throw thrown;
  }
}

/**
 * Compares what was made with what it was made from: an adapter is computed beside its base, unmerged, so that merging
 * is checked with it; where our engine cannot do that, the file is compared with the merged model.
 */
export async function checkExport(
  { modelDir, adapterDir, format, outDir, mergedDir }: ExportInput,
  limits: ParityLimits & { readonly signal: AbortSignal },
): Promise<ExportParity> {
  const exported: ParityInput['exported'] =
    format === 'safetensors' ? { kind: 'folder', path: outDir } : { kind: 'gguf', path: join(outDir, GGUF_FILE) };
  const eightBits = format === 'gguf-q8_0';
  if (adapterDir === null || (await isComputed(adapterDir)))
    return checkParity({ sourceDir: modelDir, adapterDir, exported }, eightBits, limits);
  if (format === 'safetensors')
    return { status: 'not-checked', reason: 'An adapter of this kind is not computed here beside its base.' };
  return checkParity({ sourceDir: mergedDir, adapterDir: null, exported }, eightBits, limits);
}
