import { gunzipSync } from 'node:zlib';
import { readArtifact } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { AttemptLogs, BEGINNING, wholeCharacters } from './attempt-logs.js';
import type { LogKey, LogPiece } from './attempt-logs.js';
import { linesAfter, placeOfLines } from './log-lines.js';

const MAX_PACKED_BYTES = 8 * 1024 * 1024;
const MAX_LOG_BYTES = 16 * 1024 * 1024;
const MAX_FILES = 10_000;

/** The log as runners leave it; and the end of a pod's with the time of each line. */
export type StoredLogName = 'log' | 'timed-log';
/** As runners name them. */
export const storedLogName = (name: StoredLogName, node: number): string =>
  node === 0 ? `${name}.txt.gz` : `${name}.${node}.txt.gz`;

/** Logs of attempts that have ended. */
export class StoredLogs extends AttemptLogs {
  constructor(private readonly store: ArtifactStore) {
    super();
  }

  override async newest(runId: string): Promise<number | undefined> {
    const files = await this.files(`artifact://runs/${runId}`);
    const attempts = files.flatMap((uri) => Number(/\/(\d+)\/\d+\/log[^/]*\.txt\.gz$/.exec(uri)?.[1] ?? 0));
    const newest = Math.max(0, ...attempts);
    return newest > 0 ? newest : undefined;
  }

  override async end(of: LogKey, limitBytes: number): Promise<LogPiece | undefined> {
    const bytes = await this.log(of, 'log');
    return bytes && cut(bytes, Math.max(0, bytes.length - limitBytes), limitBytes, bytes.length > limitBytes);
  }

  override async after(of: LogKey, at: string, limitBytes: number): Promise<LogPiece | undefined> {
    const place = placeOfLines(at);
    if (place) {
      const timed = await this.log(of, 'timed-log');
      return timed && linesAfter(timed.toString(), place, { limitBytes, whole: true });
    }
    const [, offset] = /^f[\w.]+-(\d+)$/.exec(at) ?? [];
    if (offset === undefined && at !== BEGINNING) return undefined;
    const bytes = await this.log(of, 'log');
    return bytes && cut(bytes, Number(offset ?? 0), limitBytes, false);
  }

  /** Of the attempt's last process set. */
  private async log({ runId, attempt, node }: LogKey, name: StoredLogName): Promise<Buffer | undefined> {
    const files = await this.files(`artifact://runs/${runId}/${attempt}`);
    const newest = files.filter((uri) => uri.endsWith(`/${storedLogName(name, node)}`)).at(-1);
    if (newest === undefined) return undefined;
    const packed = await readArtifact(this.store, newest, MAX_PACKED_BYTES);
    return packed && gunzipSync(packed, { maxOutputLength: MAX_LOG_BYTES });
  }

  private async files(prefix: string): Promise<string[]> {
    const { items } = await this.store.list(prefix, { limit: MAX_FILES });
    return items.map(({ uri }) => uri);
  }
}

function cut(bytes: Buffer, from: number, limitBytes: number, truncated: boolean): LogPiece {
  const text = wholeCharacters(bytes.subarray(from, from + limitBytes));
  return { text: text.toString(), truncated, at: `f0-${Math.min(from, bytes.length) + text.length}` };
}
