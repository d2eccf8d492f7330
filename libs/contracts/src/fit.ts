import { z } from 'zod';

/**
 * Whether a run can be placed, or what is in its way, with the values that its sentence names. Closed: everything that
 * shows one has a sentence for each. Amounts of `resource` are counted as quotas count it (memory in MiB); an empty text
 * leaves its part of the sentence out.
 */
export const FIT_PARAMS = {
  fits: [],
  unknown: [],
  'no-nodes': [],
  /** `available`: devices that there are, "A10 (24 GB) x4". */
  'no-devices': ['resource', 'available'],
  'cpu-only': ['profile'],
  'unknown-device-type': ['deviceType', 'available'],
  'device-memory-too-small': ['neededMib', 'largestMib'],
  'device-too-old': ['needed', 'newest'],
  'devices-shared': [],
  'nodes-not-allowed': [],
  'nodes-not-ready': [],
  'nodes-to-come': [],
  'node-too-small': ['devicesPerNode', 'largest'],
  'too-few-nodes': ['nodes', 'devicesPerNode', 'fitting'],
  'not-enough-cpu': ['nodes', 'needed', 'most'],
  'not-enough-memory': ['nodes', 'neededMib', 'mostMib'],
  /** `together`: most free devices on one node; empty where that is all that are free. */
  'devices-busy': ['nodes', 'devicesPerNode', 'fitting', 'free', 'together'],
  'cpu-busy': ['nodes', 'needed', 'most'],
  'memory-busy': ['nodes', 'neededMib', 'mostMib'],
  'nodes-full': [],
  'quota-exceeded': ['quota', 'resource', 'hard', 'used', 'needed'],
  'limit-exceeded': ['limit', 'resource', 'max', 'needed'],
  'no-queueing': ['queue'],
  'unknown-queue': ['queue', 'namespace', 'known'],
  'queue-inactive': ['queue'],
  'queue-too-small': ['clusterQueue', 'resource', 'most', 'needed'],
  'queue-busy': ['queue', 'resource', 'most', 'needed'],
} as const;
export type FitReason = keyof typeof FIT_PARAMS;
export type FitParams<Reason extends FitReason = FitReason> = Readonly<
  Record<(typeof FIT_PARAMS)[Reason][number], string | number>
>;
export const FIT_REASONS = Object.keys(FIT_PARAMS) as [FitReason, ...FitReason[]];

/** Longest text among the values of a sentence. */
export const TOLD_TEXT_MAX = 2_000;
export const toldParams = z.record(z.string().max(64), z.union([z.string().max(TOLD_TEXT_MAX), z.number()]));

const count = z.int().nonnegative();

/** What is in the way of a run, in no language. */
export const obstacle = z.object({
  reason: z.enum(FIT_REASONS),
  params: toldParams,
  /** What would fit instead; null when nothing would or nothing is needed. Without devices: on the CPU. */
  nearest: z
    .object({
      nodes: z.int().positive(),
      devicesPerNode: count,
      deviceType: z.string().nullable(),
      /** Only with another type of device than was asked for. */
      otherType: z.boolean().default(false),
      /** Only without the queue that was asked for. */
      withoutQueue: z.boolean().default(false),
    })
    .nullable(),
});
export type Obstacle = z.output<typeof obstacle>;

/** Whether a run can be placed, now or ever, and why not. `fitsNow` implies `canEverFit`. */
export const fitAnswer = obstacle.extend({
  canEverFit: z.boolean(),
  fitsNow: z.boolean(),
  /** English, ends with what would fit where that is known. */
  message: z.string(),
  /** The products, as nodes spell them, that a wished type stands for; empty: no type was wished. */
  deviceProducts: z.array(z.string()),
});
export type FitAnswer = z.output<typeof fitAnswer>;
