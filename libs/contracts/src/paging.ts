import { z } from 'zod';

/** Cursor paging: `after` is the last id of the page before. Newest first unless said otherwise. */
export const pageQuery = z.object({
  after: z.string().optional(),
  limit: z.int().min(1).max(1000).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
});
export const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), hasMore: z.boolean() });
export interface Page<T> {
  items: T[];
  hasMore: boolean;
}
