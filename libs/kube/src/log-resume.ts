const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?/;

/**
 * Pure: recognises lines that were already handed out. A log is resumed by the second, so the lines of that second come
 * again; several lines may even bear the same nanosecond, so those are counted.
 */
export class LogResume {
  private last = '';
  private sameStamp = 0;
  private skipSame = 0;

  /** Where to go on from, as RFC 3339, or undefined before the first line. */
  get sinceTime(): string | undefined {
    return this.last === '' ? undefined : `${this.last.slice(0, 19)}Z`;
  }

  /** To be called before the first line of a stream that goes on from `sinceTime`. */
  resumed(): void {
    this.skipSame = this.sameStamp;
  }

  /** @returns the line without its time, or undefined when it was handed out before */
  accept(line: string): string | undefined {
    const match = STAMP.exec(line);
    // Without a time it belongs to the line before; only after a resumption it cannot be told from an old one.
    if (!match) return line;
    const stamp = normal(match);
    if (stamp < this.last) return undefined;
    if (stamp === this.last) {
      if (this.skipSame > 0) {
        this.skipSame -= 1;
        return undefined;
      }
      this.sameStamp += 1;
    } else {
      this.last = stamp;
      this.sameStamp = 1;
      this.skipSame = 0;
    }
    return line.slice(match[0].length);
  }
}

/** Times in UTC with nine digits, so that they sort as texts. */
function normal([, seconds = '', fraction = '', zone = 'Z']: RegExpExecArray): string {
  const base = zone === 'Z' ? seconds : new Date(`${seconds}${zone}`).toISOString().slice(0, 19);
  return `${base}.${fraction.padEnd(9, '0')}`;
}
