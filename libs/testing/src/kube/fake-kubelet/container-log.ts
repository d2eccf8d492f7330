import { EventEmitter } from 'node:events';

export interface LogLine {
  /** RFC 3339 with nanoseconds; no two lines of a log have the same. */
  at: string;
  text: string;
}

/** What the API server passes on from a reader of logs. */
export interface LogQuery {
  tailLines?: number;
  limitBytes?: number;
  /** RFC 3339 */
  sinceTime?: string;
  timestamps?: boolean;
}

/** A kubelet keeps so much and then begins anew. */
const MAX_BYTES = 10 * 1024 * 1024;

/** The log of one run of one container, in memory. */
export class ContainerLog {
  private readonly changes = new EventEmitter().setMaxListeners(0);
  private readonly open = new Map<string, string>();
  private lines: LogLine[] = [];
  private bytes = 0;
  /** Number of lines that were dropped from the beginning. */
  private dropped = 0;
  private lastNanos = 0n;
  private ended = false;

  /** Text as a process writes it: lines may come in pieces, of each stream for itself. */
  write(stream: 'stdout' | 'stderr', chunk: string): void {
    const [last = '', ...whole] = ((this.open.get(stream) ?? '') + chunk).split('\n').reverse();
    for (const line of whole.reverse()) this.push(line);
    this.open.set(stream, last);
    this.changes.emit('change');
  }

  end(): void {
    for (const rest of this.open.values()) if (rest !== '') this.push(rest);
    this.open.clear();
    this.ended = true;
    this.changes.emit('change');
  }

  /** At most 80 lines and 2048 bytes, as a kubelet takes them for a termination message. */
  tail(): string {
    const text = this.lines
      .slice(-80)
      .map((line) => `${line.text}\n`)
      .join('');
    return Buffer.from(text).subarray(-2_048).toString();
  }

  /** What is there now, then with `follow` what comes, until the container ends or `signal` is aborted. */
  async *read(query: LogQuery, follow: boolean, signal: AbortSignal): AsyncGenerator<string> {
    const since = query.sinceTime === undefined ? undefined : Date.parse(query.sinceTime);
    const first = this.lines.findIndex((line) => since === undefined || Date.parse(line.at) >= since);
    const begin = first === -1 ? this.lines.length : first;
    const tail = query.tailLines === undefined ? 0 : this.lines.length - query.tailLines;
    let next = this.dropped + Math.max(begin, tail);
    let left = query.limitBytes ?? Number.POSITIVE_INFINITY;
    while (left > 0 && !signal.aborted) {
      next = Math.max(next, this.dropped);
      const line = this.lines[next - this.dropped];
      if (line) {
        next += 1;
        const text = Buffer.from(`${query.timestamps === true ? `${line.at} ` : ''}${line.text}\n`);
        const shown = text.subarray(0, left);
        left -= shown.length;
        yield shown.toString();
      } else if (this.ended || !follow) return;
      else await this.change(signal);
    }
  }

  private change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.changes.off('change', done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.changes.once('change', done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  private push(text: string): void {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.lastNanos = now > this.lastNanos ? now : this.lastNanos + 1n;
    const millis = new Date(Number(this.lastNanos / 1_000_000n)).toISOString().slice(0, -1);
    this.lines.push({ at: `${millis}${String(this.lastNanos % 1_000_000n).padStart(6, '0')}Z`, text });
    this.bytes += text.length;
    while (this.bytes > MAX_BYTES) {
      this.bytes -= this.lines.shift()?.text.length ?? 0;
      this.dropped += 1;
    }
  }
}
