import { writeFile } from 'node:fs/promises';
import type { RunOutcome } from '@luthier/contracts';

/** Kubernetes keeps no more of a termination message. */
const MAX_BYTES = 4_096;
const MAX_TEXT = 1_000;

/** What the cluster keeps of a container that has ended: code, message, hint and step, as JSON. */
function lastWordsOf({ code, message, hint, step }: RunOutcome): string {
  const cut = (text: string): string => [...text].slice(0, MAX_TEXT).join('');
  const words = { ...(code !== undefined && { code }), message: cut(message), step };
  const whole = JSON.stringify({ ...words, ...(hint !== undefined && { hint: cut(hint) }) });
  return Buffer.byteLength(whole) <= MAX_BYTES ? whole : JSON.stringify({ ...words, message: '' });
}

/** The outcome itself is stored already: a place that cannot be written to costs nothing but these words. */
export async function writeLastWords(path: string | undefined, outcome: RunOutcome): Promise<void> {
  if (path === undefined) return;
  await writeFile(path, lastWordsOf(outcome)).catch(() => undefined);
}
