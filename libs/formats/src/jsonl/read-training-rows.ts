import type { RowIssue, RowKind } from '@luthier/contracts';
import { FormatError } from '../format-error.js';
import { readLines } from './line-reader.js';
import type { JsonlLine, ReadLinesOptions } from './line-reader.js';
import { rowError, rowWarning } from './row-issue.js';
import type { TrainingRowIssue } from './row-issue.js';
import { parseTrainingRow } from './parse-training-row.js';
import type { TrainingRow } from './training-row.js';

/** A JSON array has to be in memory whole; larger ones are refused with the hint to convert. */
export const JSON_ARRAY_BYTES_MAX = 64 * 1024 * 1024;

/** One row of a file with everything found out about it. `row` is absent when an error makes it unusable. */
export interface FileRow {
  /** From 1: the line, or in a JSON array the row's number. */
  readonly line: number;
  readonly unit: 'line' | 'row';
  readonly row?: TrainingRow;
  readonly issues: readonly RowIssue[];
}

function withLine(line: number, unit: 'line' | 'row', issues: readonly TrainingRowIssue[], row?: TrainingRow): FileRow {
  return { line, unit, issues: issues.map((issue) => ({ line, ...issue })), ...(row && { row }) };
}

const KIND_NAMES: Readonly<Record<RowKind, string>> = {
  examples: 'an example',
  pairs: 'a pair',
  ratings: 'a rating',
  text: 'plain text',
  prompts: 'a prompt to be answered',
};

/** Keeps format and kind of the first usable row: a file is in one format, and its rows serve one purpose. */
class FileFormat {
  private first: Pick<TrainingRow, 'format' | 'kind'> | undefined;

  parse(json: unknown): { row?: TrainingRow; issues: TrainingRowIssue[] } {
    const parsed = parseTrainingRow(json);
    if (!parsed.ok) return { issues: [...parsed.issues] };
    const { format, kind } = parsed.row;
    this.first ??= { format, kind };
    if (kind !== this.first.kind) {
      const message = `The row is ${KIND_NAMES[kind]}, the first row of the file is ${KIND_NAMES[this.first.kind]}.`;
      return { issues: [rowError('mixed-kind', null, message, 'Keep rows of one kind in a file, or split the file.')] };
    }
    if (format !== this.first.format) {
      const message = `The row is in the format ${format}, the rows before it in ${this.first.format}.`;
      return { issues: [rowError('mixed-format', null, message, 'Keep one format in a file, or split the file.')] };
    }
    return { row: parsed.row, issues: [...parsed.warnings] };
  }
}

/** Issues of the line itself, before its JSON is looked at. */
function lineIssues(line: JsonlLine): TrainingRowIssue[] {
  if (line.kind === 'too-long') {
    return [
      rowError(
        'line-too-long',
        null,
        `The line has ${line.sizeBytes} bytes; the limit is ${line.maxBytes}.`,
        'Split the row into shorter ones.',
      ),
    ];
  }
  if (line.kind === 'invalid-utf8') {
    return [
      rowError(
        'invalid-utf8',
        null,
        `Byte ${line.byteOffset} of the file is not valid UTF-8.`,
        'Save the file as UTF-8.',
      ),
    ];
  }
  const issues: TrainingRowIssue[] = [];
  if (line.byteOrderMark)
    issues.push(
      rowWarning(
        'byte-order-mark',
        null,
        'The file begins with a byte order mark; it is ignored.',
        'Save as UTF-8 without BOM.',
      ),
    );
  if (line.crlf && line.line === 1)
    issues.push(
      rowWarning(
        'crlf',
        null,
        'Lines end in CR LF; they are read as if they ended in LF.',
        'Save with Unix line ends.',
      ),
    );
  return issues;
}

function parseLine(line: JsonlLine, format: FileFormat): FileRow {
  const issues = lineIssues(line);
  if (line.kind !== 'line') return withLine(line.line, 'line', issues);
  let json: unknown;
  try {
    json = JSON.parse(line.text);
  } catch (error) {
    const message = `The line is not JSON: ${(error as Error).message.slice(0, 200)}`;
    return withLine(line.line, 'line', [
      ...issues,
      rowError('not-json', null, message, 'Write one complete JSON object on each line.'),
    ]);
  }
  const parsed = format.parse(json);
  return withLine(line.line, 'line', [...issues, ...parsed.issues], parsed.row);
}

async function firstBytes(
  source: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; rest: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  let head: Uint8Array = new Uint8Array(0);
  while (!head.some((byte) => byte > 0x20 && ![0xef, 0xbb, 0xbf].includes(byte)) && head.length < 65_536) {
    const next = await iterator.next();
    if (next.done) break;
    held.push(next.value.slice());
    head = Buffer.concat(held);
  }
  async function* rest(): AsyncGenerator<Uint8Array> {
    try {
      yield* held;
      for (;;) {
        const next = await iterator.next();
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { head, rest: rest() };
}

async function readArray(source: AsyncIterable<Uint8Array>): Promise<unknown[]> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > JSON_ARRAY_BYTES_MAX) {
      throw new FormatError(
        'format.too-large',
        'A JSON array may have at most 64 MB; convert the file to JSONL (one object a line).',
        { maxBytes: JSON_ARRAY_BYTES_MAX },
      );
    }
    parts.push(chunk.slice());
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)));
  } catch (cause) {
    throw new FormatError('format.malformed', 'The file begins as a JSON array but is not valid JSON.', {}, { cause });
  }
  return Array.isArray(json) ? (json as unknown[]) : [json];
}

/** The first character that is neither white space nor a byte order mark. */
function firstCharacter(head: Uint8Array): string | undefined {
  return new TextDecoder().decode(head).trimStart()[0];
}

/**
 * Reads training rows from JSONL, or from one JSON array of up to 64 MB. Empty lines are skipped, everything else is
 * yielded in order with its issues. Throws FormatError only when the file as a whole cannot be read (a broken or too
 * large array).
 */
export async function* readTrainingRows(
  source: AsyncIterable<Uint8Array>,
  options: ReadLinesOptions = {},
): AsyncGenerator<FileRow> {
  const format = new FileFormat();
  const { head, rest } = await firstBytes(source);
  if (firstCharacter(head) === '[') {
    let number = 0;
    for (const json of await readArray(rest)) {
      const parsed = format.parse(json);
      yield withLine((number += 1), 'row', parsed.issues, parsed.row);
    }
    return;
  }
  for await (const line of readLines(rest, options)) {
    if (line.kind === 'line' && line.text.trim() === '') continue;
    yield parseLine(line, format);
  }
}
