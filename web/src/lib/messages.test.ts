import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const web = join(import.meta.dirname, '../..');
type Messages = { [key: string]: string | Messages };
const read = (locale: string): Messages =>
  JSON.parse(readFileSync(join(web, 'messages', `${locale}.json`), 'utf8')) as Messages;

const flat = (messages: Messages, prefix = ''): [key: string, text: string][] =>
  Object.entries(messages).flatMap(([key, value]) =>
    typeof value === 'string' ? [[prefix + key, value] as [string, string]] : flat(value, `${prefix}${key}.`),
  );
const placeholders = (text: string): string[] => [...new Set(text.match(/(?<=\{)[a-z]\w*(?=[,}])/gi) ?? [])].sort();

const en = new Map(flat(read('en')));
const zh = new Map(flat(read('zh')));

/** Keys that the sources ask for; what a template ends with (`status.${x}`) stands for every key below it. */
function asked(): { whole: Set<string>; starts: Set<string> } {
  const whole = new Set<string>();
  const starts = new Set<string>();
  const files = readdirSync(join(web, 'src'), { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((name) => /(?<!\.test)\.tsx?$/.test(name))) {
    const text = readFileSync(join(web, 'src', file), 'utf8');
    for (const [, variable = '', space = ''] of text.matchAll(
      /const (\w+) = (?:await )?(?:use|get)Translations\('(\w+)'\)/g,
    )) {
      for (const [, quoted, template] of text.matchAll(
        new RegExp(`\\b${variable}\\(\\s*(?:'([^']+)'|\`([^$\`]+))`, 'g'),
      )) {
        if (quoted !== undefined) whole.add(`${space}.${quoted}`);
        if (template !== undefined) starts.add(`${space}.${template}`);
      }
      for (const [, one, other] of text.matchAll(
        new RegExp(`\\b${variable}\\([^()\`]*\\? '([^']+)' : '([^']+)'`, 'g'),
      )) {
        for (const key of [one, other]) whole.add(`${space}.${key}`);
      }
    }
    // Made of closed lists; `told.test.ts` holds each of them against the messages.
    if (file.endsWith('use-told.ts')) {
      for (const [, key = ''] of text.matchAll(/t\('(\w+)'/g)) whole.add(`told.${key}`);
      for (const part of [
        'error.',
        'issue.',
        'job.',
        'plan.',
        'verdict.',
        'event.',
        'run.',
        'thing.',
        'cause.',
        'cluster.',
        'proof.',
        'amount.',
        'change.',
        'note.',
        'fit.',
        'advice.',
        'topic.',
        'finding.',
        'source.',
        'sourceFailed.',
        'notCompared.',
        'formula.',
        'fix.',
        'placeFix.',
      ])
        starts.add(`told.${part}`);
    }
    for (const [, key = ''] of text.matchAll(/getTranslations\('common'\)\)\('([^']+)'\)/g)) whole.add(`common.${key}`);
  }
  return { whole, starts };
}

describe('texts of the dashboard', () => {
  it('English and Chinese have the same keys', () => {
    expect([...zh.keys()].sort()).toEqual([...en.keys()].sort());
  });

  it('a text has the same placeholders in both languages, and none is empty', () => {
    for (const [key, text] of en) {
      expect({ key, names: placeholders(zh.get(key) ?? '') }).toEqual({ key, names: placeholders(text) });
      expect({ key, empty: text.trim() === '' || zh.get(key)?.trim() === '' }).toEqual({ key, empty: false });
    }
  });

  it('every text is used, and every text that is used is there', () => {
    const { whole, starts } = asked();
    const used = (key: string): boolean => whole.has(key) || [...starts].some((start) => key.startsWith(start));
    expect([...en.keys()].filter((key) => !used(key))).toEqual([]);
    expect([...whole].filter((key) => !en.has(key))).toEqual([]);
  });
});
