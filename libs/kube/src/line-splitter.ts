export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

/** Cuts a stream of bytes into lines, never holding more than one line, and of that at most `maxBytes`. */
export class LineSplitter {
  private parts: Buffer[] = [];
  private length = 0;

  constructor(private readonly maxBytes: number) {}

  /**
   * @returns the lines that `chunk` completes, without their line ends
   * @throws LineTooLong
   */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      this.add(chunk.subarray(from, end));
      lines.push(this.take());
      from = end + 1;
    }
    this.add(chunk.subarray(from));
    return lines;
  }

  /** What was said after the last line end, or undefined. */
  end(): string | undefined {
    return this.length === 0 ? undefined : this.take();
  }

  private add(part: Buffer): void {
    if (part.length === 0) return;
    if (part.length > this.maxBytes - this.length) {
      throw new LineTooLong(`a line is longer than ${this.maxBytes} bytes`);
    }
    this.parts.push(part);
    this.length += part.length;
  }

  private take(): string {
    const line = this.parts.length === 1 ? this.parts[0]?.toString('utf8') : Buffer.concat(this.parts).toString('utf8');
    this.parts = [];
    this.length = 0;
    return line?.endsWith('\r') ? line.slice(0, -1) : (line ?? '');
  }
}
