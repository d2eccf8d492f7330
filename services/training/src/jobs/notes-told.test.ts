import { beforeAll, describe, expect, it } from '@jest/globals';
import { PLAN_NOTES, PLAN_NOTE_IDS } from '@luthier/contracts';
import type { PlanNote } from '@luthier/contracts';
import { noteSentence } from '@luthier/planner';
import { dashboardModule, dashboardTexts } from '@luthier/testing';
import type { Told } from '@luthier/testing';

type Note = Pick<PlanNote, 'id' | 'params'>;

const straight = (text: string): string => text.replace(/[“”]/g, '"').replace(/’/g, "'");
/** A value of its own for each name: 11, 12, ... or one each, as one thing has another word than several. */
const variants = (names: readonly string[]): PlanNote['params'][] => [
  Object.fromEntries(names.map((name, index) => [name, name.endsWith('Mib') ? (11 + index) * 1_024 : 11 + index])),
  Object.fromEntries(names.map((name) => [name, name.endsWith('Mib') ? 1_024 : 1])),
];

describe('why a plan is as it is', () => {
  let noteTold: (note: Note) => Told;
  beforeAll(async () => {
    ({ noteTold } = await dashboardModule<{ noteTold: (note: Note) => Told }>('src/lib/told/note-told.ts'));
  });

  it.each(PLAN_NOTE_IDS)('(%s) is said alike by the platform and the dashboard, in both languages', (id) => {
    const { say } = dashboardTexts();
    for (const params of variants(PLAN_NOTES[id])) {
      const ours = noteSentence({ id, params });
      const told = noteTold({ id, params });
      expect(straight(say('en', told))).toBe(ours);
      const zh = say('zh', told);
      expect(zh).toMatch(/\p{Script=Han}/u);
      const amounts = (ours.match(/\d+/g) ?? []).filter((amount) => amount !== '1');
      expect({ zh, left: amounts.filter((amount) => !zh.includes(amount)) }).toEqual({ zh, left: [] });
    }
  });
});
