import { createReadStream } from 'node:fs';
import { createGzip } from 'node:zlib';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { ArtifactStore } from '@luthier/artifacts';

/**
 * Stores the events files of a dead run as its runner would have: training fills from them what the run stream still
 * holds back, such as lines that a killed reader had taken and not finished.
 * @param ranks those that have an events file in `outputDir`.
 * @returns the URIs; none when the store cannot take them, since a full disk must not keep the end from being told.
 */
export async function storeEventFiles(
  store: ArtifactStore,
  { outputDir, baseUri, ranks }: { outputDir: string; baseUri: string; ranks: readonly string[] },
): Promise<string[]> {
  const uris: string[] = [];
  try {
    for (const rank of ranks) {
      const uri = `${baseUri}/events.${rank}.jsonl.gz`;
      const lines = createReadStream(join(outputDir, `events.${rank}.jsonl`));
      const packed = createGzip();
      lines.on('error', (cause) => packed.destroy(cause)).pipe(packed);
      await store.put(uri, packed);
      uris.push(uri);
    }
    return uris;
  } catch (cause) {
    // A store that is away for now will take them later.
    if (cause instanceof AppError && cause.code === 'storage.unreachable') throw cause;
    return [];
  }
}
