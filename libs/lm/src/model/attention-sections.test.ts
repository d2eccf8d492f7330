import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SECTIONS, sectionFeeds, sectionInput, sectionMasks } from './attention-sections.js';
import type { SectionFeed } from './attention-sections.js';
import { packRows } from './packed-batch.js';

const batchOf = (lengths: readonly number[]): ReturnType<typeof packRows> =>
  packRows(lengths.map((length) => ({ tokens: new Int32Array(length), trained: new Uint8Array(length).fill(1) })));

/** Which packed tokens each one sees, by the feeds of all sections. */
function seen(lengths: readonly number[], window?: number): Map<number, number[]> {
  const batch = batchOf(lengths);
  const feeds = sectionFeeds(batch);
  const masks = sectionMasks(batch, 2, window);
  const found = new Map<number, number[]>();
  for (let section = 0; section < SECTIONS; section += 1) {
    const feed = (name: SectionFeed): { data: number[]; width: number } => {
      const tensor = feeds[sectionInput(name, section)];
      return { data: Array.from(tensor?.data ?? [], Number), width: tensor?.dims.at(-1) ?? 0 };
    };
    const [queries, keys] = [feed('queries'), feed('keys')];
    const mask = masks[section]?.data ?? [];
    queries.data.forEach((token, place) => {
      if (token === batch.tokens.length) return;
      expect(found.has(token)).toBe(false);
      expect(feed('queryPlaces').data[token]).toBe(place);
      const [row, position] = [Math.floor(place / queries.width), place % queries.width];
      const looked = keys.data.slice(row * keys.width, (row + 1) * keys.width);
      found.set(
        token,
        looked.filter((_, key) => mask[position * keys.width + key] === 0),
      );
      // The second query head of the group sees the same.
      expect(mask.slice(position * keys.width, (position + 1) * keys.width)).toEqual(
        mask.slice((queries.width + position) * keys.width, (queries.width + position + 1) * keys.width),
      );
    });
  }
  return found;
}

it('lets every token look once, and see its own row up to itself, or as far back as the window goes', () =>
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 11 }), { minLength: 1, maxLength: 4 }).filter((all) => Math.max(...all) > 1),
      fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
      (lengths, window) => {
        const expected = new Map<number, number[]>();
        let start = 0;
        for (const length of lengths) {
          for (let i = 0; i < length; i += 1) {
            const first = Math.max(0, i + 1 - (window ?? length));
            expected.set(
              start + i,
              Array.from({ length: i + 1 - first }, (_, k) => start + first + k),
            );
          }
          start += length;
        }
        const found = seen(lengths, window);
        expect(found.size).toBe(start);
        for (const [token, keys] of expected) expect(found.get(token)).toEqual(keys);
      },
    ),
  ));

it('computes of short rows no scores beyond the section they end in', () => {
  const feeds = sectionFeeds(batchOf([400, 100, 250]));
  const rows = Array.from({ length: SECTIONS }, (_, section) => feeds[sectionInput('queries', section)]?.dims[0]);
  expect(rows).toEqual([3, 2, 2, 1]);
});
