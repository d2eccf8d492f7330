import { open, stat } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { AppError } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { RunFolder, attemptsOf } from '../process/run-folder.js';

const MAX_PACKED_BYTES = 8 * 1024 * 1024;
const MAX_LOG_BYTES = 16 * 1024 * 1024;

/** The end of the newest attempt's log: from its folder while that is there, then from the store. */
export class RunLog {
  constructor(
    private readonly runsDir: string,
    private readonly store: ArtifactStore,
    /** The log of a run's pod while there is one. */
    private readonly live?: (runId: string) => Promise<string | undefined>,
  ) {}

  /** @throws AppError `run.not-found`. */
  async tail(runId: string, tailBytes: number): Promise<{ text: string; truncated: boolean }> {
    const living = await this.live?.(runId);
    if (living !== undefined) {
      const bytes = Buffer.from(living);
      return { text: bytes.subarray(-tailBytes).toString(), truncated: bytes.length > tailBytes };
    }
    for (const attempt of (await attemptsOf(this.runsDir, runId)).reverse()) {
      const local = await tailOfFile(new RunFolder(this.runsDir, { runId, attempt }).log, tailBytes);
      if (local) return local;
    }
    const packed = await this.storedLog(runId);
    if (!packed) throw new AppError('run.not-found');
    const bytes = gunzipSync(packed, { maxOutputLength: MAX_LOG_BYTES });
    return { text: bytes.subarray(-tailBytes).toString(), truncated: bytes.length > tailBytes };
  }

  private async storedLog(runId: string): Promise<Buffer | undefined> {
    const { items } = await this.store.list(`artifact://runs/${runId}`, { limit: 10_000 });
    const newest = items.filter(({ uri }) => uri.endsWith('/log.txt.gz')).at(-1);
    return newest && readArtifact(this.store, newest.uri, MAX_PACKED_BYTES);
  }
}

async function tailOfFile(path: string, tailBytes: number): Promise<{ text: string; truncated: boolean } | undefined> {
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size === undefined) return undefined;
  const handle = await open(path, 'r');
  try {
    const start = Math.max(0, size - tailBytes);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    return { text: buffer.subarray(0, bytesRead).toString(), truncated: start > 0 };
  } finally {
    await handle.close();
  }
}
