const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?/;

/** How far a log was read: the time of the last line, and how many lines bear exactly that time. */
export interface LogPosition {
  /** In UTC with nine digits, so that times sort as texts. */
  readonly last: string;
  readonly alike: number;
}

/**
 * Pure: recognises lines that were already handed out. A log is resumed by the second, so the lines of that second come
 * again; several lines may even bear the same nanosecond, so those are counted.
 */
export class LogResume {
  private last: string;
  private alike: number;
  private skipAlike: number;

  /** @param from where an earlier reading ended; undefined: nothing was read yet */
  constructor(from?: LogPosition) {
    this.last = from?.last ?? '';
    this.alike = this.skipAlike = from?.alike ?? 0;
  }

  /** Undefined before the first line. */
  get position(): LogPosition | undefined {
    return this.last === '' ? undefined : { last: this.last, alike: this.alike };
  }

  /** @returns the line without its time, or undefined when it was handed out before */
  accept(line: string): string | undefined {
    const match = STAMP.exec(line);
    // Without a time it belongs to the line before; only after a resumption it cannot be told from an old one.
    if (!match) return line;
    const stamp = normal(match);
    if (stamp < this.last) return undefined;
    if (stamp === this.last) {
      if (this.skipAlike > 0) {
        this.skipAlike -= 1;
        return undefined;
      }
      this.alike += 1;
    } else {
      this.last = stamp;
      this.alike = 1;
      this.skipAlike = 0;
    }
    return line.slice(match[0].length);
  }
}

/** From when to ask for a log that goes on from there, as RFC 3339. */
export const sinceTimeOf = ({ last }: LogPosition): string => `${last.slice(0, 19)}Z`;

/** Times in UTC with nine digits. */
function normal([, seconds = '', fraction = '', zone = 'Z']: RegExpExecArray): string {
  const base = zone === 'Z' ? seconds : new Date(`${seconds}${zone}`).toISOString().slice(0, 19);
  return `${base}.${fraction.padEnd(9, '0')}`;
}
