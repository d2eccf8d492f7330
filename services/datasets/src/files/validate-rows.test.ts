import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ValidationReport } from '@luthier/contracts';
import { DuplicateRows } from './duplicate-rows.js';
import { validateRows } from './validate-rows.js';

const FILE_ID = 'file-aaaaaaaaaaaaaaaaaaaa';
async function* stream(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
}
const validate = (...parts: (string | Uint8Array)[]): Promise<ValidationReport> =>
  validateRows(FILE_ID, stream(...parts));
const row = (instruction: string, output = 'an answer'): string => JSON.stringify({ instruction, input: '', output });

const PAIR = '{"prompt":"p","chosen":"good","rejected":"bad"}';
const rating = (completion: string, label: boolean): string => JSON.stringify({ prompt: 'p', completion, label });

const prompt = (content: string, item: object): string =>
  JSON.stringify({ messages: [{ role: 'user', content }], ...item });

describe('validation of a file', () => {
  it('names the fields that every prompt has, and takes the same question with another answer for another row', async () => {
    const [a, b] = [prompt('Why?', { answer: 'x', place: 1 }), prompt('Why?', { place: 2, answer: 'y', more: 0 })];
    expect(await validate(`${a}\n${b}\n`)).toMatchObject({
      usableRows: 2,
      itemFields: ['answer', 'place'],
      issues: [],
    });
    expect((await validate(`${a}\n${a}\n`)).issueCounts).toEqual({ 'duplicate-row': 1 });
  });
  it.each([
    ['examples', row('a'), 10],
    ['pairs', PAIR, 9],
    ['ratings', rating('yes', true), 4],
    ['text', '{"text":"Once"}', 4],
    ['prompts', prompt('Why?', { answer: 'x' }), 4],
  ])('tells that it holds %s, and what a model reads of it', async (rowKind, line, characters) => {
    expect(await validate(`${line}\n`)).toMatchObject({ rowKind, characters, usableRows: 1 });
  });

  it('does not take ratings of both kinds amiss', async () => {
    const { issues } = await validate(`${rating('a', true)}\n${rating('b', false)}\n`);
    expect(issues).toEqual([]);
  });

  it.each<[string, (string | Uint8Array)[], number, string | null, string]>([
    ['a line that is not JSON', [`${row('a')}\n{oops\n`], 2, null, 'not-json'],
    ['a row that is not an object', [`${row('a')}\n[1]\n`], 2, null, 'not-object'],
    ['a missing field', [`${row('a')}\n{"instruction":"x"}\n`], 2, 'output', 'missing-field'],
    ['an empty field', [`${row('a')}\n${row('b', ' ')}\n`], 2, 'output', 'empty-field'],
    ['a field of a wrong type', [`${row('a')}\n{"instruction":"x","output":5}\n`], 2, 'output', 'wrong-type'],
    ['an unknown format', [`${row('a')}\n{"words":"x"}\n`], 2, null, 'unknown-format'],
    ['mixed formats', [`${row('a')}\n{"prompt":"x","completion":"y"}\n`], 2, null, 'mixed-format'],
    ['a pair among examples', [`${row('a')}\n${PAIR}\n`], 2, null, 'mixed-kind'],
    ['equal answers', ['{"prompt":"p","chosen":"a","rejected":"a"}\n'], 1, 'rejected', 'same-answers'],
    ['a pair without question', ['{"chosen":"a","rejected":"b"}\n'], 1, 'prompt', 'missing-field'],
    ['ratings of one kind', [`${rating('a', true)}\n${rating('b', true)}\n`], 0, null, 'one-sided-ratings'],
    ['a byte order mark', [`\uFEFF${row('a')}\n`], 1, null, 'byte-order-mark'],
    ['CR LF', [`${row('a')}\r\n${row('b')}\r\n`], 1, null, 'crlf'],
    ['invalid UTF-8', [`${row('a')}\n`, Buffer.of(0x22, 0xff, 0x22, 0x0a)], 2, null, 'invalid-utf8'],
    ['a placeholder left', [`${row('Hello {{name}}')}\n`], 1, 'instruction', 'placeholder-left'],
    ['the same row twice', [`${row('a')}\n${row('b')}\n${row('a')}\n`], 3, null, 'duplicate-row'],
    ['no answer', [`{"messages":[{"role":"user","content":"q"}]}\n`], 1, null, 'no-assistant-turn'],
    ['an unknown role', [`{"messages":[{"role":"bot","content":"q"}]}\n`], 1, 'messages[0].role', 'bad-role'],
    ['an empty file', [''], 0, null, 'empty-file'],
    ['a broken JSON array', [`[${row('a')},`], 0, null, 'not-json'],
  ])('reports %s with line, field and what to do', async (_what, parts, line, field, code) => {
    const { issues, issueCounts } = await validate(...parts);
    expect(issues).toContainEqual(
      expect.objectContaining({
        line,
        code,
        ...(code !== 'placeholder-left' && { field }),
        hint: expect.stringMatching(/\w/),
      }),
    );
    expect(issueCounts[code]).toBe(1);
  });

  it('names the line of the first of two equal rows', async () => {
    const { issues } = await validate(`${row('a')}\n\n${row('b')}\n${row('a')}\n`);
    expect(issues.find(({ code }) => code === 'duplicate-row')).toMatchObject({
      line: 4,
      message: expect.stringContaining('line 1'),
    });
  });

  it('skips a line of 50 MB, says so, and uses the rows around it', async () => {
    async function* parts(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`${row('a')}\n`);
      for (let i = 0; i < 50; i += 1) yield Buffer.alloc(1_048_576, 0x61);
      yield Buffer.from(`\n${row('b')}\n`);
    }
    const report = await validateRows(FILE_ID, parts());
    expect(report).toMatchObject({ rows: 3, usableRows: 2, issueCounts: { 'line-too-long': 1 } });
    expect(report.issues[0]).toMatchObject({ line: 2, code: 'line-too-long' });
  });

  it('lists the first 100 issues and counts all', async () => {
    const report = await validate('{x\n'.repeat(250), `${row('a')}\n`);
    expect(report).toMatchObject({ rows: 251, usableRows: 1, errorCount: 250, issueCounts: { 'not-json': 250 } });
    expect(report.issues).toHaveLength(100);
    expect(report.issues[99]).toMatchObject({ line: 100 });
  });

  it('reads a JSON array and numbers its rows', async () => {
    expect(await validate(`[${row('a')},${row('b')},{"x":1}]`)).toMatchObject({
      rows: 3,
      usableRows: 2,
      format: 'alpaca',
    });
  });

  it('counts every row as usable or not: nothing is dropped silently', async () => {
    const line = fc.constantFrom(
      row('a'),
      row('b'),
      '{x',
      '[]',
      '{"prompt":"p","completion":"c"}',
      '{"instruction":"x"}',
      '7',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 50 }), async (rest, size) => {
        const lines = [row('first'), ...rest]; // a file that begins with [ is a JSON array instead
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        );
        const report = await validate(...parts);
        const bad = new Set(report.issues.filter(({ severity }) => severity === 'error').map((issue) => issue.line));
        expect(report.rows).toBe(lines.length);
        if (report.errorCount + report.warningCount <= 100) expect(report.usableRows + bad.size).toBe(report.rows);
      }),
    );
  });
});

describe('table of duplicates', () => {
  it('says for the file as a whole when it was too small for all rows', async () => {
    const lines = Array.from({ length: 3_000 }, (_, i) => `${row(`q${i}`)}\n${i % 20 === 0 ? '[]\n' : ''}`);
    const report = await validateRows(FILE_ID, stream(...lines), new DuplicateRows(4_096));
    expect(report.issues).toHaveLength(100);
    expect(report.issues[0]).toMatchObject({ line: 0, code: 'duplicates-not-checked', severity: 'warning' });
    expect(report.issueCounts['duplicates-not-checked']).toBe(1);
  });

  it('agrees with a plain map while it grows', () => {
    const table = new DuplicateRows();
    const plain = new Map<string, number>();
    for (let line = 1; line <= 20_000; line += 1) {
      const text = `row ${(line * 7_919) % 13_001}`;
      expect(table.firstLineOf(text, line)).toBe(plain.get(text));
      if (!plain.has(text)) plain.set(text, line);
    }
    expect(table.notRemembered).toBe(0);
  });
});
