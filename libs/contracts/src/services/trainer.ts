import { z } from 'zod';
import { defineRequest } from '../define.js';
import { clusterReport } from '../cluster.js';
import { doctorReport } from '../doctor.js';
import { fitAnswer, obstacle } from '../fit.js';
import { idOf } from '../ids.js';
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
      /** Devices that no run has now, over all nodes; absent: they are not counted. */
      freeDevices: z.int().nonnegative().optional(),
      /** Most devices on one node. */
      maxDevicesPerNode: z.int().nonnegative().optional(),
      /** What its devices compute in; absent: not known. */
      precisions: z.array(z.string()).optional(),
      /** Nodes with such devices. */
      nodes: z.int().nonnegative().optional(),
      /** A queue outside decides when runs start; they are handed over at once. */
      queue: z.string().optional(),
      /** Nodes are added when they are needed. */
      autoscaled: z.boolean().optional(),
      /** Why not even the smallest run could start now, in one sentence, and in no language. */
      why: z.string().optional(),
      obstacle: obstacle.optional(),
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
/** Whether a run of this shape can be placed, for each profile asked about (unknown ones are left out). */
export const fitRun = defineRequest({
  subject: `${s}.fit-run`,
  request: z.object({
    profiles: z.array(z.string()).max(100),
    nodes: z.int().positive(),
    /** Null: one where the profile has devices, else none. */
    devicesPerNode: z.int().nonnegative().nullable(),
    /** Of each device; 0: any. */
    deviceMemoryMib: z.int().nonnegative(),
    /** Part of a product name: "H100". */
    deviceType: z.string().nullable(),
    /** Null: the profile's own, if it has one. */
    queue: z.string().nullable(),
    /** As if these nodes were not there. */
    withoutNodes: z.array(z.string()).optional(),
  }),
  response: z.object({ answers: z.array(z.object({ profile: z.string(), fit: fitAnswer })) }),
});
/** Nodes that carry an attempt: those of them that are in trouble, else all. Empty: none are known, or there is one machine. */
export const locateRun = defineRequest({
  subject: `${s}.locate-run`,
  request: z.object({ runId: idOf('run'), attempt: z.int().positive(), profile: z.string() }),
  response: z.object({ nodes: z.array(z.string()) }),
  timeoutMs: 3_000,
});
export const getCluster = defineRequest({
  subject: `${s}.get-cluster`,
  request: z.object({}),
  response: clusterReport,
});
/** Looks at everything that an installation needs. */
export const checkCluster = defineRequest({
  subject: `${s}.check-cluster`,
  request: z.object({}),
  response: doctorReport,
  timeoutMs: 30_000,
});
/** Names a place in the log of a run. Only the trainer reads it. */
export const logCursor = z.string().regex(/^[\w.:~-]{1,200}$/, 'expected a cursor of an earlier answer');
/** The end of a run's log; with `after`, what was written since, in pieces. */
export const readRunLog = defineRequest({
  subject: `${s}.read-run-log`,
  request: z.object({
    runId: z.string(),
    /** Of a run on several nodes. */
    node: z.int().nonnegative().default(0),
    tailBytes: z.int().min(1).max(262_144).default(16_384),
    after: logCursor.optional(),
  }),
  response: z.object({
    text: z.string(),
    /** Something before the text is not in it: with `after`, it could not be read any more. */
    truncated: z.boolean(),
    cursor: logCursor,
  }),
  errors: ['run.not-found', 'cluster.unreachable'],
});
