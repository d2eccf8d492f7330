import type { Page } from '@luthier/contracts';

/** Unix time in whole seconds of an ISO 8601 time. */
export const unixSeconds = (iso: string): number => Math.floor(Date.parse(iso) / 1000);

/** A page of records as OpenAI's cursor list; the next page begins after `last_id`. */
export function toList<Record, Item extends { id: string }>(page: Page<Record>, present: (record: Record) => Item) {
  const data = page.items.map(present);
  return {
    object: 'list' as const,
    data,
    has_more: page.hasMore,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  };
}
