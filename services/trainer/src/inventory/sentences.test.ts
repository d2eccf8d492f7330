import { beforeAll, describe, expect, it } from '@jest/globals';
import { CHECK_TOPICS, FINDINGS, FINDING_IDS, FIT_PARAMS, FIT_REASONS } from '@luthier/contracts';
import type { ClusterCheck, FitReason, Obstacle } from '@luthier/contracts';
import { dashboardFindings } from '../testing/told-sentence.js';
import { findingSentence, fixSentence, topicTitle } from './finding-sentences.js';
import { fitSentence } from './fit-sentences.js';

type Params = Obstacle['params'];
const MAY_BE_EMPTY = ['available', 'largestMib', 'together', 'known', 'here', 'everywhere', 'installed', 'absent'];
const RESOURCES = ['requests.nvidia.com/gpu', 'requests.cpu', 'memory', 'count/widgets'];

/** A value of its own for each name: 11, 12, ... */
const paramsOf = (names: readonly string[], over: Params = {}): Params => ({
  ...Object.fromEntries(names.map((name, index) => [name, name.endsWith('Mib') ? (11 + index) * 1_024 : 11 + index])),
  ...Object.fromEntries(Object.entries(over).filter(([name]) => names.includes(name))),
});
const empty = (names: readonly string[]): Params => Object.fromEntries(names.map((name) => [name, '']));

/** All shapes of a sentence: amounts of each kind, one node or more, with and without what may be left out. */
const variants = (names: readonly string[]): Params[] => [
  ...RESOURCES.map((resource) => paramsOf(names, { resource })),
  paramsOf(names, { resource: 'count/widgets', nodes: 1, fitting: 1, devicesPerNode: 1 }),
  paramsOf(names, { resource: 'count/widgets', nodes: 1, ...empty(MAY_BE_EMPTY) }),
];
const NEAREST: Obstacle['nearest'][] = [
  null,
  ...[
    { nodes: 2, devicesPerNode: 8 },
    { nodes: 1, devicesPerNode: 1, otherType: true },
    { nodes: 1, devicesPerNode: 4, withoutQueue: true },
    { nodes: 1, devicesPerNode: 0 },
    { nodes: 1, devicesPerNode: 0, withoutQueue: true },
  ].map((shape) => ({ deviceType: null, otherType: false, withoutQueue: false, ...shape })),
];
const obstaclesOf = (reason: FitReason): Obstacle[] => [
  ...variants(FIT_PARAMS[reason]).map((params) => ({ reason, params, nearest: null })),
  ...NEAREST.map((nearest) => ({ reason, params: paramsOf(FIT_PARAMS[reason], { resource: 'cpu' }), nearest })),
];

const straight = (text: string): string => text.replace(/[“”]/g, '"').replace(/’/g, "'");
/** What a sentence names: everything but words. */
const namedIn = (text: string): string[] => text.match(/\d+|`[^`]+`|kubectl [^"]+|nvidia[\w./]*\w|widgets/g) ?? [];

/** Says in Chinese everything that the English sentence names. */
function expectSame(ours: string, { en, zh }: { en: string; zh: string }): void {
  expect(straight(en)).toBe(ours);
  expect(zh).toMatch(/\p{Script=Han}|^API$|^RuntimeClass$/u);
  expect(zh).not.toMatch(/[{}]|none| {2}|undefined/);
  const amounts = namedIn(ours).filter((named) => named !== '1');
  expect({ ours, left: amounts.filter((named) => !zh.includes(named)) }).toEqual({ ours, left: [] });
}

describe('what the platform and the dashboard say', () => {
  let dashboard: Awaited<ReturnType<typeof dashboardFindings>>;
  beforeAll(async () => {
    dashboard = await dashboardFindings();
  });

  it.each(FIT_REASONS)('of a run that is placed or not (%s) is the same, in both languages', (reason) => {
    for (const found of obstaclesOf(reason)) {
      const said = { en: dashboard.obstacle('en', found), zh: dashboard.obstacle('zh', found) };
      expectSame(fitSentence(found), said);
    }
  });

  const found = (over: Partial<ClusterCheck>): ClusterCheck => ({
    ...{ topic: 'api', profile: 'p-11', id: 'look-failed', state: 'fail', params: {}, obstacle: null },
    ...{ check: '', message: '', fix: null },
    ...over,
  });
  const both = (check: ClusterCheck) => ({ en: dashboard.finding('en', check), zh: dashboard.finding('zh', check) });

  it.each(FINDING_IDS.filter((id) => !id.startsWith('place-')))(
    'of what the doctor found (%s) is the same, in both languages',
    (id) => {
      for (const params of variants(FINDINGS[id])) {
        const check = found({ id, params });
        const { en, zh } = both(check);
        expectSame(findingSentence(check), { en: en.message, zh: zh.message });
        const fix = fixSentence(check);
        expect({ en: en.fix === null, zh: zh.fix === null }).toEqual({ en: fix === null, zh: fix === null });
        if (fix !== null) expectSame(fix.replace('.en.md', ''), sidesOf(en.fix, zh.fix));
      }
    },
  );

  it.each(['place-now', 'place-later', 'place-never'] as const)('of a place (%s) is that of its obstacle', (id) => {
    for (const reason of FIT_REASONS) {
      const obstacle = id === 'place-now' ? null : { reason, params: paramsOf(FIT_PARAMS[reason]), nearest: null };
      const check = found({ id, state: id === 'place-now' ? 'ok' : 'fail', obstacle });
      const { en, zh } = both(check);
      expectSame(findingSentence(check), { en: en.message, zh: zh.message });
      if (id !== 'place-now') expectSame(fixSentence(check) ?? '', sidesOf(en.fix, zh.fix));
    }
  });

  it('of what was looked at is the same, in both languages', () => {
    for (const topic of CHECK_TOPICS) {
      const check = found({ topic, params: { cause: 'x' } });
      const { en, zh } = both(check);
      expectSame(topicTitle(check), { en: en.title, zh: zh.title });
    }
  });
});

/** Each language has its own guide. */
const sidesOf = (en: string | null, zh: string | null) => ({
  en: (en ?? '').replace('.en.md', ''),
  zh: (zh ?? '').replace('.zh.md', ''),
});
