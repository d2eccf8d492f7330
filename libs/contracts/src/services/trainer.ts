import { z } from 'zod';
import { defineRequest } from '../define.js';
import { capabilities } from '../run-spec.js';

/** What runs can be placed on, right now. */
export const inventory = z.object({
  observedAt: z.string(),
  profiles: z.array(
    z.object({
      name: z.string(),
      runtime: z.string(),
      device: z.string(),
      devices: z.int().nonnegative(),
      cpus: z.number(),
      /** What one run may take at most. */
      memoryMib: z.int(),
      freeMemoryMib: z.int(),
      /** Where `memoryMib` is a device's: what a run may take of the host's. */
      hostMemoryMib: z.int().positive().optional(),
      /** Disk space that a run gets for itself; absent: what there is. */
      scratchMib: z.int().nonnegative().optional(),
      /** Runs that may go on beside each other. */
      slots: z.int().positive(),
      capabilities,
    }),
  ),
  /** Runs whose devices are already counted as taken above. */
  countedRuns: z.array(z.string()),
});
export type Inventory = z.output<typeof inventory>;

const s = 'luthier.v1.rpc.trainer';
export const getInventory = defineRequest({
  subject: `${s}.get-inventory`,
  request: z.object({}),
  response: inventory,
});
export const readRunLog = defineRequest({
  subject: `${s}.read-run-log`,
  request: z.object({ runId: z.string(), tailBytes: z.int().min(1).max(262_144).default(16_384) }),
  response: z.object({ text: z.string(), truncated: z.boolean() }),
  errors: ['run.not-found'],
});
