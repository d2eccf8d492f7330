import { describe, expect, it } from '@jest/globals';
import { CALLS, CONSUMERS, ERROR_CODES, EVENTS, REQUESTS, STREAMS } from '@luthier/contracts';
import { filesIn, isTest, productSources } from './sources.js';

const sources = productSources();
const matches = (subject: string, filter: string): boolean =>
  filter.endsWith('>') ? subject.startsWith(filter.slice(0, -1)) : subject === filter;

const withoutComments = (text: string): string => text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '');

describe('conventions that a compiler cannot see', () => {
  it('subject literals stand in libs/contracts only', () => {
    const wrong = sources
      .filter((f) => !f.path.startsWith('libs/contracts/') && !isTest(f.path))
      .filter((f) => /['"`]luthier\.v1\./.test(withoutComments(f.text)));
    expect(wrong.map((f) => f.path)).toEqual([]);
  });

  it('the environment is read in *.config.ts only', () => {
    const wrong = sources
      .filter((f) => !/\.config\.m?tsx?$/.test(f.path) && !isTest(f.path))
      .filter((f) => /process\.env\b/.test(withoutComments(f.text)));
    expect(wrong.map((f) => f.path)).toEqual([]);
  });

  it('every declared request has exactly one handler, in the service that its subject names', () => {
    const handlers = new Map<string, string[]>();
    for (const file of sources.filter((f) => f.path.startsWith('services/') && !isTest(f.path))) {
      for (const [, name] of file.text.matchAll(/@OnRequest\((?:[A-Za-z]+\.)?([A-Za-z]+)\)/g)) {
        if (name !== undefined) handlers.set(name, [...(handlers.get(name) ?? []), file.path]);
      }
    }
    const nameOf = (subject: string): string =>
      (subject.split('.').at(-1) ?? '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    for (const { subject, service } of REQUESTS) {
      const where = handlers.get(nameOf(subject)) ?? [];
      expect({ subject, where: where.length, service: where[0]?.split('/')[1] }).toEqual({
        subject,
        where: 1,
        service,
      });
    }
  });

  it('every event has exactly one stream, and no stream keeps a request', () => {
    const streamsOf = (subject: string): string[] =>
      STREAMS.filter((s) => s.subjects.some((filter) => matches(subject, filter))).map((s) => s.name);
    for (const event of EVENTS)
      expect({ subject: event.subject, streams: streamsOf(event.subject).length }).toEqual({
        subject: event.subject,
        streams: 1,
      });
    for (const request of REQUESTS)
      expect({ subject: request.subject, streams: streamsOf(request.subject) }).toEqual({
        subject: request.subject,
        streams: [],
      });
  });

  it('every consumer reads a declared stream, and filters only what that stream keeps', () => {
    for (const consumer of CONSUMERS) {
      const stream = STREAMS.find((s) => s.name === consumer.stream);
      expect(stream).toBeDefined();
      for (const filter of consumer.filterSubjects) {
        expect(stream?.subjects.some((kept) => matches(filter.replace(/>$/, 'x'), kept))).toBe(true);
      }
    }
  });

  it('a service sends requests only to services that its credentials allow', () => {
    const subjects = new Map(REQUESTS.map((r) => [r.subject, r.service]));
    const nameOf = (subject: string): string =>
      (subject.split('.').at(-1) ?? '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const serviceOfName = new Map([...subjects].map(([subject, service]) => [nameOf(subject), service]));
    const wrong: string[] = [];
    for (const file of sources.filter((f) => f.path.startsWith('services/') && !isTest(f.path))) {
      const caller = file.path.split('/')[1] as keyof typeof CALLS;
      for (const [, name] of file.text.matchAll(/\.request\(\s*([A-Za-z]+)\s*,/g)) {
        const target = name === undefined ? undefined : serviceOfName.get(name);
        if (target && Object.hasOwn(CALLS, caller) && !CALLS[caller].includes(target))
          wrong.push(`${file.path}: ${name} of ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('files stay small: no source above 400 lines', () => {
    const wrong = sources
      .filter((f) => !isTest(f.path) && !f.path.includes('.generated.'))
      .filter((f) => f.text.split('\n').length > 400);
    expect(wrong.map((f) => `${f.path}: ${f.text.split('\n').length}`)).toEqual([]);
  });

  it('nothing unfinished is left behind', () => {
    const mark = new RegExp(['TO' + 'DO', 'FIX' + 'ME', '@ts-' + 'ignore', '\\.only\\('].join('|'));
    expect(sources.filter((f) => mark.test(f.text)).map((f) => f.path)).toEqual([]);
  });
});

describe('documentation that must be complete', () => {
  const reference = (name: string): string => filesIn('docs/reference', new RegExp(`^${name}$`))[0]?.text ?? '';
  const rows = (text: string): Set<string> =>
    new Set([...text.matchAll(/^\|\s*`([^`]+)`/gm)].map(([, name]) => name ?? ''));

  it('every error code has a row in docs/reference/errors.md, and no row is without a code', () => {
    expect([...rows(reference('errors.md'))].sort()).toEqual([...ERROR_CODES].sort());
  });

  it('every environment variable that a configuration reads has a row in docs/reference/configuration.md', () => {
    const read = new Set(
      sources
        .filter((f) => /\.config\.ts$/.test(f.path) || f.path === 'libs/service-kit/src/config.ts')
        .flatMap((f) => [...f.text.matchAll(/\b(LUTHIER_[A-Z0-9_]*[A-Z0-9])\b/g)].map(([name]) => name)),
    );
    const documented = rows(reference('configuration.md'));
    expect([...read].filter((name) => !documented.has(name)).sort()).toEqual([]);
  });

  it('every metric has a row in docs/reference/metrics.md', () => {
    const declared = new Set(
      sources
        .filter((f) => !isTest(f.path))
        .flatMap((f) => [...f.text.matchAll(/name: '(luthier_[a-z_]+)'/g)].map(([, name]) => name ?? '')),
    );
    const documented = rows(reference('metrics.md'));
    expect([...declared].filter((name) => !documented.has(name)).sort()).toEqual([]);
  });

  it('every operation that is logged stands in docs/reference/logs.md', () => {
    const logged = sources
      .filter((f) => !isTest(f.path))
      .flatMap((f) => [...f.text.matchAll(/\bop: '([a-z-]+\.[a-z-]+)'/g)].map(([, name = '']) => name));
    const text = reference('logs.md');
    expect([...new Set(logged)].filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
