import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { rankEnds } from '@luthier/contracts';
import type { RankEnds } from '@luthier/contracts';

const FILE = 'ranks.json';
/** Room for some thousands of processes. */
const MAX_BYTES = 64 * 1024;

/** How the processes of a runtime ended; undefined where it was one, or where they left nothing that can be read. */
export async function readRankEnds(outputDir: string): Promise<RankEnds | undefined> {
  const handle = await open(join(outputDir, FILE)).catch(() => undefined);
  if (!handle) return undefined;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    return rankEnds.safeParse(JSON.parse(buffer.toString('utf8', 0, bytesRead))).data;
  } catch {
    return undefined; // it only says more precisely what the exit status says too
  } finally {
    await handle.close();
  }
}
