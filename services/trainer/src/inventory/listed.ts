const MAX_LENGTH = 600;

/** Names in one text, in no language; of many only the first ones. */
export function listed(names: readonly string[]): string {
  const kept: string[] = [];
  let length = 0;
  for (const name of names) {
    length += name.length + 2;
    if (length > MAX_LENGTH) return [...kept, '…'].join(', ');
    kept.push(name);
  }
  return kept.join(', ');
}
