import { z } from 'zod';
import { obstacle } from './fit.js';
import { planNote } from './plan-notes.js';
import { PRECISIONS } from './run-spec.js';

export const planAlternative = z.object({
  title: z.string(),
  /** What to change in the job's own fields. */
  change: z.record(z.string(), z.union([z.string(), z.number()])),
  totalMib: z.int(),
});
/** What a run's memory goes to, in words for who reads a plan in English. */
export const PLAN_COMPONENT_NAMES = {
  weights: 'model weights',
  adapter: 'adapter',
  gradients: 'gradients',
  optimiser: 'optimiser state',
  adapterAndOptimiser: 'adapter and optimiser',
  activations: 'activations',
  logits: 'output scores',
  head: 'output layer',
  cache: 'memory of answers while they are generated',
  runtime: 'program itself',
  wholeLayers: 'layers fetched whole',
  reserve: 'kept free',
} as const;
export type PlanComponent = keyof typeof PLAN_COMPONENT_NAMES;
export const PLAN_COMPONENTS = Object.keys(PLAN_COMPONENT_NAMES) as [PlanComponent, ...PlanComponent[]];

/** Memory, time and steps, known before anything starts. */
export const plan = z.object({
  verdict: z.enum(['fits', 'waits', 'can-never-fit', 'unknown']),
  message: z.string(),
  /** What the message says of the place, in no language; null or absent: the message speaks of memory. */
  obstacle: obstacle.nullish(),
  device: z.string(),
  memoryMode: z.string().nullable(),
  /** What it is computed in; absent in plans of before this was chosen. */
  precision: z.enum(PRECISIONS).optional(),
  components: z.array(z.object({ name: z.enum(PLAN_COMPONENTS), mib: z.number() })),
  totalMib: z.int(),
  /** What a device must have at least, where the run then takes a slower way; absent: all of it. */
  leastMib: z.int().optional(),
  availableMib: z.int(),
  steps: z.int(),
  tokens: z.int(),
  /** A guess until the first steps are measured. */
  estimatedSeconds: z.number().nullable(),
  /** What a rehearsal has measured: it stands in place of the estimates above. */
  measured: z
    .object({
      memoryMib: z.number(),
      secondsPerStep: z.number(),
      tokensPerSecond: z.number(),
      checkpointMib: z.number(),
    })
    .optional(),
  alternatives: z.array(planAlternative),
  /** Why it is so. */
  notes: z.array(planNote),
});
export type Plan = z.output<typeof plan>;
