import { z } from 'zod';

/** What a job may ask for, as the number that runs carry. Profiles give numbers the priority classes of their queue. */
export const PRIORITIES = { low: -100, normal: 0, high: 100 } as const;
export type Priority = keyof typeof PRIORITIES;
export const priority = z.enum(Object.keys(PRIORITIES) as [Priority, ...Priority[]]);

/** Added in the queue to what a job has begun already: that is brought to its end before something new begins. */
export const FOLLOW_UP_PRIORITY = 1_000;
