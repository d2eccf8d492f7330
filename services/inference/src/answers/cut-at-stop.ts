/** The text before the first of the stop sequences. */
export function cutAtStop(text: string, stop: readonly string[]): { text: string; stopped: boolean } {
  const ends = stop.map((sequence) => text.indexOf(sequence)).filter((at) => at >= 0);
  return ends.length === 0 ? { text, stopped: false } : { text: text.slice(0, Math.min(...ends)), stopped: true };
}
