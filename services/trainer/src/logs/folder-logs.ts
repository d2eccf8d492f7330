import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { RunFolder, attemptsOf } from '../process/run-folder.js';
import { AttemptLogs, BEGINNING, wholeCharacters } from './attempt-logs.js';
import type { LogKey, LogPiece } from './attempt-logs.js';

interface Part {
  handle: FileHandle;
  /** A file keeps it when it is renamed: its inode, and since inodes are used again, when it was made. */
  identity: string;
  sizeBytes: number;
}

/** Logs in the folders of runs that are processes of this machine: `log.txt`, and `log.txt.1` that was written before. */
export class FolderLogs extends AttemptLogs {
  constructor(private readonly runsDir: string) {
    super();
  }

  override async newest(runId: string): Promise<number | undefined> {
    return (await attemptsOf(this.runsDir, runId)).at(-1);
  }

  override end(of: LogKey, limitBytes: number): Promise<LogPiece | undefined> {
    return this.read(of, ([before, part]) => {
      const from = Math.max(0, part.sizeBytes - limitBytes);
      return piece(part, from, limitBytes, from > 0 || before !== undefined);
    });
  }

  override async after(of: LogKey, at: string, limitBytes: number): Promise<LogPiece | undefined> {
    const place = /^f([\w.]+)-(\d+)$/.exec(at);
    if (!place && at !== BEGINNING) return undefined;
    const identity = place?.[1] ?? '';
    const offset = Number(place?.[2] ?? 0);
    return this.read(of, async ([before, part]) => {
      if (part.identity === identity) return piece(part, offset, limitBytes, false);
      if (before?.identity === identity && before.sizeBytes > offset) return piece(before, offset, limitBytes, false);
      // Renamed and read to its end, or, where the file is not even the one before, lost in between.
      const lost = place !== null && before !== undefined && before.identity !== identity;
      const first = before !== undefined && before.identity !== identity ? before : part;
      return piece(first, 0, limitBytes, lost);
    });
  }

  private async read(
    { runId, attempt, node }: LogKey,
    read: (parts: readonly [before: Part | undefined, part: Part]) => Promise<LogPiece>,
  ): Promise<LogPiece | undefined> {
    if (node !== 0) return undefined; // this machine is the only one
    const { log } = new RunFolder(this.runsDir, { runId, attempt });
    // The newer one first: what is renamed in between is then met twice, and known by its identity.
    const part = await openPart(log);
    const before = await openPart(`${log}.1`);
    try {
      return part && (await read([before?.identity === part.identity ? undefined : before, part]));
    } finally {
      await part?.handle.close();
      await before?.handle.close();
    }
  }
}

async function openPart(path: string): Promise<Part | undefined> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (!handle) return undefined;
  const { ino, birthtimeMs, size } = await handle.stat();
  return { handle, identity: `${ino}.${Math.round(birthtimeMs)}`, sizeBytes: size };
}

async function piece(
  { handle, identity }: Part,
  from: number,
  limitBytes: number,
  truncated: boolean,
): Promise<LogPiece> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(limitBytes), 0, limitBytes, from);
  const text = wholeCharacters(buffer.subarray(0, bytesRead));
  return { text: text.toString(), truncated, at: `f${identity}-${from + text.length}` };
}
