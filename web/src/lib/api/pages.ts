/** Entries of a page of a list. */
export const PAGE = 25;

/** Entries of a page of a list that is read whole, and how many of them are read at most. */
export const CHOICE_PAGE = 200;
const CHOICE_PAGES_MAX = 10;

/** All pages of a list, for choosing from it. */
export async function allOf<Item extends { id: string }>(
  read: (after: { after?: string }) => Promise<{ items: Item[]; more: boolean }>,
): Promise<Item[]> {
  const all: Item[] = [];
  for (let page = 0; page < CHOICE_PAGES_MAX; page += 1) {
    const last = all.at(-1);
    const { items, more } = await read(last ? { after: last.id } : {});
    all.push(...items);
    if (!more || items.length === 0) break;
  }
  return all;
}
