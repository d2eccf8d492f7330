/** What is known of a log that is followed. */
export interface LiveLog {
  text: string;
  /** Something before the text, or in it, is left out. */
  truncated: boolean;
}

/** What the page keeps: the end of a log that has grown longer. */
const MAX_CHARS = 500_000;

/** Adds what came; a log beyond the bound loses whole lines of its beginning. */
export function withPieces(log: LiveLog, pieces: readonly LiveLog[]): LiveLog {
  const text = log.text + pieces.map((piece) => piece.text).join('');
  const truncated = log.truncated || pieces.some((piece) => piece.truncated);
  if (text.length <= MAX_CHARS) return { text, truncated };
  const end = text.slice(-MAX_CHARS);
  return { text: end.slice(end.indexOf('\n') + 1), truncated: true };
}
