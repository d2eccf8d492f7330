import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';

/** Public ids are the internal ids: prefix + 20 characters of [a-z0-9]. */
export const ID_PREFIXES = {
  file: 'file-',
  dataset: 'ds-',
  job: 'ftjob-',
  jobEvent: 'ftevent-',
  checkpoint: 'ftckpt_',
  run: 'run-',
  model: 'model-',
  evaluation: 'eval_',
  event: 'evt-',
} as const;
export type IdKind = keyof typeof ID_PREFIXES;

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const LENGTH = 20;

/** A new random id, e.g. `run-4k0x…`. Bytes above the largest multiple of 36 are thrown away, so letters are even. */
export function newId(kind: IdKind): string {
  let text = '';
  while (text.length < LENGTH) {
    for (const byte of randomBytes(LENGTH)) {
      if (byte < 252 && text.length < LENGTH) text += ALPHABET[byte % 36];
    }
  }
  return ID_PREFIXES[kind] + text;
}

/** The id that this key always gets: what is written twice under it is one thing. */
export function idFor(kind: IdKind, key: string): string {
  const number = BigInt(`0x${createHash('sha256').update(key).digest('hex')}`);
  return ID_PREFIXES[kind] + number.toString(ALPHABET.length).padStart(LENGTH, '0').slice(-LENGTH);
}

export const idOf = (kind: IdKind): z.ZodString =>
  z.string().regex(new RegExp(`^${ID_PREFIXES[kind]}[a-z0-9]{20}$`), `expected an id like ${ID_PREFIXES[kind]}…`);

/** The 20 characters of an id without its prefix (for object names). */
export const idTail = (id: string): string => id.slice(-LENGTH);
