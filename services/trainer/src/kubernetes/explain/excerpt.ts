const MAX_BYTES = 1_024;
const MAX_READ = 64 * 1_024;

/** Terminal sequences first, whole; then what is left of control, format and lone surrogate characters. */
// eslint-disable-next-line no-control-regex
const TERMINAL = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])/g;
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}]/gu;

/** Text from outside, fit to be shown: no control characters but line ends, at most 1 KiB of UTF-8. Undefined: empty. */
export function excerptOf(text: string | undefined, keep: 'start' | 'end' = 'start'): string | undefined {
  if (text === undefined) return undefined;
  const read = keep === 'start' ? text.slice(0, MAX_READ) : text.slice(-MAX_READ);
  const lines = read.replace(/\r\n?/g, '\n').replace(TERMINAL, '').split('\n');
  const clean = lines
    .map((line) => line.replace(/\t/g, ' ').replace(UNSEEN, '').trimEnd())
    .join('\n')
    .trim();
  return clean === '' ? undefined : cut(clean, keep);
}

function cut(text: string, keep: 'start' | 'end'): string {
  if (Buffer.byteLength(text) <= MAX_BYTES) return text;
  const characters = Array.from(text);
  if (keep === 'end') characters.reverse();
  const kept: string[] = [];
  let bytes = Buffer.byteLength('…');
  for (const character of characters) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_BYTES) break;
    kept.push(character);
  }
  return keep === 'end' ? `…${kept.reverse().join('')}` : `${kept.join('')}…`;
}

const MAX_PARAM = 120;

/** A name or cause for a sentence: one line, short. */
export function shortText(text: string): string {
  const line = (excerptOf(text) ?? '').replace(/\s+/g, ' ');
  const characters = Array.from(line);
  return characters.length <= MAX_PARAM ? line : `${characters.slice(0, MAX_PARAM - 1).join('')}…`;
}
