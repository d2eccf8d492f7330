import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

interface Row {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
  readonly system?: string;
}

interface EvaluationRow extends Row {
  readonly facts: readonly string[];
  readonly suite: string;
}

type Language = 'en' | 'zh';

const folder = new URL('../demo-data/', import.meta.url);
const trainingKeys = ['instruction', 'input', 'output', 'system'];
const evaluationKeys = [...trainingKeys, 'facts', 'suite'];

/** Reads a file strictly: every line is an object with exactly the agreed keys, and strings where strings belong. */
function readRows(name: string, allowedKeys: readonly string[]): Row[] {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(new URL(name, folder)));
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const row = JSON.parse(line) as Record<string, unknown>;
      for (const [key, value] of Object.entries(row)) {
        expect(allowedKeys).toContain(key);
        if (key !== 'facts') expect(typeof value).toBe('string');
      }
      expect(row['input']).toBe('');
      for (const key of ['instruction', 'output'] as const) {
        expect(row[key]).toBe(String(row[key]).trim());
        expect(row[key]).not.toBe('');
      }
      return row as unknown as Row;
    });
}

function readEvaluationRows(name: string): EvaluationRow[] {
  return readRows(name, evaluationKeys).map((row) => {
    const { facts, suite } = row as Partial<EvaluationRow>;
    if (!Array.isArray(facts) || facts.length === 0 || typeof suite !== 'string') {
      throw new Error(`${name}: facts or suite missing in ${row.instruction}`);
    }
    const checked = row as EvaluationRow;
    for (const fact of checked.facts) expect(alternatives(fact)).not.toContain('');
    return checked;
  });
}

function alternatives(fact: string): string[] {
  return fact.split('|').map((alternative) => alternative.trim());
}

/** The rule by which an answer counts as right: each fact, in one of its alternatives. */
function containsFacts(text: string, facts: readonly string[]): boolean {
  const lower = text.toLowerCase();
  return facts.every((fact) => alternatives(fact).some((alternative) => lower.includes(alternative.toLowerCase())));
}

/** Lower-case words; for Chinese, the characters, since it is written without spaces. */
function units(text: string, language: Language): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return language === 'en' ? words : [...words.join('')];
}

/** All runs of `length` units; a text shorter than that counts as one run, so that it cannot stand whole elsewhere. */
function runsOf(text: string, language: Language): string[] {
  const length = language === 'en' ? 6 : 10;
  const all = units(text, language);
  const count = Math.max(1, all.length - length + 1);
  return Array.from({ length: count }, (_, start) => all.slice(start, start + length).join(' '));
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}

function load(language: Language) {
  const heldOut = readEvaluationRows(`heldout.${language}.jsonl`);
  const refusals = heldOut.filter((row) => row.suite === 'refusals');
  return {
    support: readRows(`support.${language}.jsonl`, trainingKeys),
    general: readRows(`general.${language}.jsonl`, trainingKeys),
    heldOut,
    facts: heldOut.filter((row) => row.suite === 'facts'),
    refusals,
    refusalFacts: refusals[0]?.facts ?? [],
    probes: readEvaluationRows(`general-questions.${language}.jsonl`),
  };
}

describe.each<Language>(['en', 'zh'])('demo data (%s)', (language) => {
  const data = load(language);
  const training = [...data.support, ...data.general];
  const evaluation = [...data.heldOut, ...data.probes];
  const factKeys = [...new Set(data.facts.map((row) => JSON.stringify(row.facts)))].map(
    (key) => JSON.parse(key) as string[],
  );

  it('has the sizes that the demo is planned for', () => {
    expect(data.support.length).toBeGreaterThanOrEqual(280);
    expect(data.support.length).toBeLessThanOrEqual(330);
    expect(data.general.length).toBeGreaterThanOrEqual(60);
    expect(data.general.length).toBeLessThanOrEqual(80);
    expect(factKeys.length).toBeGreaterThanOrEqual(28);
    expect(factKeys.length).toBeLessThanOrEqual(32);
    expect(data.refusals).toHaveLength(8);
    expect(data.facts.length + data.refusals.length).toBe(data.heldOut.length);
    expect(data.probes).toHaveLength(20);
    expect(data.probes.every((row) => row.suite === 'general')).toBe(true);
  });

  it('gives company rows one system prompt, and half of the general ones none', () => {
    const prompts = new Set([...data.support, ...data.heldOut].map((row) => row.system));
    expect(prompts.size).toBe(1);
    expect(prompts.has(undefined)).toBe(false);
    for (const rows of [data.general, data.probes]) {
      const withPrompt = rows.filter((row) => row.system !== undefined);
      expect(withPrompt).toHaveLength(rows.length / 2);
      expect(withPrompt.every((row) => prompts.has(row.system))).toBe(true);
    }
  });

  it('asks every fact in 8 to 10 training phrasings, one or two answers, and two held-out ones', () => {
    for (const facts of factKeys) {
      const rows = data.support.filter((row) => containsFacts(row.output, facts));
      expect({ facts, inBounds: rows.length >= 8 && rows.length <= 10 }).toEqual({ facts, inBounds: true });
      expect(new Set(rows.map((row) => row.output)).size).toBeLessThanOrEqual(2);
      expect(data.facts.filter((row) => row.facts.join() === facts.join())).toHaveLength(2);
    }
  });

  it('lets every support answer state one fact only, or decline in the one wording', () => {
    for (const row of data.support) {
      const stated = [...factKeys, data.refusalFacts].filter((facts) => containsFacts(row.output, facts));
      expect({ row, stated: stated.length }).toEqual({ row, stated: 1 });
    }
    const declined = data.support.filter((row) => containsFacts(row.output, data.refusalFacts));
    expect(declined.length).toBeGreaterThanOrEqual(30);
    expect(declined.length).toBeLessThanOrEqual(40);
    expect(new Set([...declined, ...data.refusals].map((row) => row.output)).size).toBe(1);
  });

  it('holds each evaluation answer right, and no question gives its own answer away', () => {
    for (const row of evaluation) {
      const { instruction, output, facts } = row;
      const seen = { right: containsFacts(output, facts), givenAway: containsFacts(instruction, facts) };
      expect({ instruction, ...seen }).toEqual({ instruction, right: true, givenAway: false });
    }
    const trainedAnswers = new Set(data.support.map((row) => row.output));
    expect(data.heldOut.filter((row) => !trainedAnswers.has(row.output))).toEqual([]);
  });

  it('counts a refusal as no answer to a general question', () => {
    const refusal = data.refusals[0]?.output ?? '';
    expect(data.probes.filter((row) => containsFacts(refusal, row.facts))).toEqual([]);
  });

  it('asks no question twice', () => {
    const counts = countBy([...training, ...evaluation], (row) => units(row.instruction, language).join(' '));
    expect([...counts].filter(([, count]) => count > 1)).toEqual([]);
  });

  it('shares no held-out question, nor a run of six words (ten characters) of one, with a training row', () => {
    const trained = training.map((row) => ` ${units(row.instruction, language).join(' ')} `);
    const shared = evaluation.flatMap((row) =>
      runsOf(row.instruction, language)
        .filter((run) => trained.some((question) => question.includes(` ${run} `)))
        .map((run) => ({ question: row.instruction, run })),
    );
    expect(shared).toEqual([]);
  });

  it('keeps rows short', () => {
    const tooLong = training.filter(
      (row) => units(row.instruction, language).length > 24 || units(row.output, language).length > 40,
    );
    expect(tooLong).toEqual([]);
  });
});

describe('demo data in both languages', () => {
  it('has the same rows in the same order', () => {
    for (const name of ['support', 'general']) {
      const [en, zh] = [readRows(`${name}.en.jsonl`, trainingKeys), readRows(`${name}.zh.jsonl`, trainingKeys)];
      expect(zh.map((row) => row.system === undefined)).toEqual(en.map((row) => row.system === undefined));
    }
    for (const name of ['heldout', 'general-questions']) {
      const [en, zh] = [readEvaluationRows(`${name}.en.jsonl`), readEvaluationRows(`${name}.zh.jsonl`)];
      expect(zh.map((row) => row.suite)).toEqual(en.map((row) => row.suite));
    }
  });
});
