import { LogResume } from '@luthier/kube';
import type { LogPosition } from '@luthier/kube';
import type { LogPiece } from './attempt-logs.js';

/** How far the log of one pod was read. */
export interface PlaceOfLines {
  podUid: string;
  /** Undefined: nothing of it was read yet. */
  position: LogPosition | undefined;
}

const PLACE = /^p([\w-]{1,64})(?:~([\d.:T-]{29})~(\d{1,6}))?$/;

export const atOf = ({ podUid, position }: PlaceOfLines): string =>
  `p${podUid}${position ? `~${position.last}~${position.alike}` : ''}`;

/** Undefined: not a place in a log of lines. */
export function placeOfLines(at: string): PlaceOfLines | undefined {
  const [, podUid, last, alike] = PLACE.exec(at) ?? [];
  if (podUid === undefined) return undefined;
  return { podUid, position: last === undefined ? undefined : { last, alike: Number(alike) } };
}

/**
 * What is new in a log with times that goes on from about `place`. Pure.
 * @param whole the last line is finished even without a line end
 */
export function linesAfter(
  timed: string,
  { podUid, position }: PlaceOfLines,
  { limitBytes, whole }: { limitBytes: number; whole: boolean },
): LogPiece {
  const lines = timed.split('\n');
  const rest = lines.pop() ?? '';
  if (whole && rest !== '') lines.push(rest);
  const resume = new LogResume(position);
  let text = '';
  let seen = false;
  let reached = position;
  for (const line of lines) {
    const fresh = resume.accept(line);
    if (fresh === undefined) seen = true;
    else if (text !== '' && text.length + fresh.length > limitBytes) break;
    else text += `${fresh.slice(0, limitBytes)}\n`;
    reached = resume.position;
  }
  // The line that was read last is no longer there: neither is what came right after it.
  const truncated = position !== undefined && !seen && text !== '';
  return { text, truncated, at: atOf({ podUid, position: reached }) };
}

/** The end of a log with times. Pure. */
export function lastLines(timed: string, podUid: string, limitBytes: number, whole: boolean): LogPiece {
  const read = linesAfter(timed, { podUid, position: undefined }, { limitBytes: Number.POSITIVE_INFINITY, whole });
  const bytes = Buffer.from(read.text);
  return { ...read, text: bytes.subarray(-limitBytes).toString(), truncated: bytes.length > limitBytes };
}
