import { causalMask } from './attention-mask.js';
import type { PackedBatch } from './packed-batch.js';
import type { TensorData } from '../executor/executor.js';

/**
 * Attention is computed in this many sections of positions. In one, its cost would be the square of the longest row for
 * each row of a pack; in each of several, only those rows are there that reach into it, and only the keys up to its end.
 */
export const SECTIONS = 4;

export type SectionFeed = 'queries' | 'queryPlaces' | 'keys' | 'keyPlaces';

export const sectionInput = (name: string, section: number): string => `${name}.${section}`;

const int64 = (data: BigInt64Array, dims: readonly number[]): TensorData => ({ data, dims });

/** Tokens of a section: equal, so that the last one may reach beyond the longest row. */
const sectionSize = ({ longestRow }: PackedBatch): number => Math.ceil(longestRow / SECTIONS);

/** Feeds that say which tokens lie in which section. */
export function sectionFeeds(batch: PackedBatch): Record<string, TensorData> {
  const size = sectionSize(batch);
  const feeds: Record<string, TensorData> = {};
  for (let section = 0; section < SECTIONS; section += 1) {
    const [start, end] = [section * size, (section + 1) * size];
    const queries = tokensBetween(batch, start, start, end);
    const keys = tokensBetween(batch, start, 0, end);
    feeds[sectionInput('queries', section)] = queries.tokens;
    feeds[sectionInput('queryPlaces', section)] = queries.places;
    feeds[sectionInput('keys', section)] = keys.tokens;
    feeds[sectionInput('keyPlaces', section)] = keys.places;
  }
  return feeds;
}

/** The additive masks of all sections, each repeated for `copies` query heads of a group. */
export function sectionMasks(batch: PackedBatch, copies: number, window?: number): TensorData[] {
  const size = sectionSize(batch);
  return Array.from({ length: SECTIONS }, (_, section) => {
    const end = (section + 1) * size;
    const mask = causalMask(section * size, end, window);
    const data = new Float32Array(copies * mask.length);
    for (let copy = 0; copy < copies; copy += 1) data.set(mask, copy * mask.length);
    return { data, dims: [copies * size, end] };
  });
}

/**
 * Packed tokens [R, to - from] at the positions from `from` to `to` of rows longer than `longer`, or else of the longest,
 * and where each packed token lies among them [N]. What is not there is counted as the one behind the last.
 */
function tokensBetween(
  { lengths, longestRow, tokens }: PackedBatch,
  longer: number,
  from: number,
  to: number,
): { tokens: TensorData; places: TensorData } {
  const width = to - from;
  const least = Math.min(longer, longestRow - 1);
  const rows = lengths.filter((length) => length > least).length;
  const found = new BigInt64Array(rows * width).fill(BigInt(tokens.length));
  const places = new BigInt64Array(tokens.length).fill(BigInt(found.length));
  let [row, start] = [0, 0];
  for (const length of lengths) {
    if (length > least) {
      for (let position = from; position < Math.min(to, length); position += 1) {
        const place = row * width + position - from;
        found[place] = BigInt(start + position);
        places[start + position] = BigInt(place);
      }
      row += 1;
    }
    start += length;
  }
  return { tokens: int64(found, [rows, width]), places: int64(places, [tokens.length]) };
}
