import { z } from 'zod';
import { obstacle, toldParams } from './fit.js';

/** What is looked at. */
export const CHECK_TOPICS = [
  'api',
  'namespace',
  'permissions',
  'carriers',
  'service-account',
  'pull-secret',
  'runtime-class',
  'storage',
  'quota',
  'queues',
  'clock',
  'watches',
  'executor',
  // of one profile
  'carrier',
  'training-runtime',
  'devices',
  'place',
  'runtime',
] as const;
export type CheckTopic = (typeof CHECK_TOPICS)[number];

/**
 * What can be found, with the values that its sentences name. Closed: everything that shows findings has a sentence for
 * each. Several names stand in one text; `cause` is the words of somebody else; an empty text leaves its part of the
 * sentence out.
 */
export const FINDINGS = {
  'look-forbidden': ['cause'],
  'look-failed': ['cause'],
  'api-answers': ['kinds'],
  'api-unauthorized': ['cause'],
  'api-unreachable': ['cause'],
  'object-there': ['name'],
  'namespace-missing': ['name'],
  'service-account-missing': ['name', 'namespace'],
  'pull-secret-missing': ['name', 'namespace'],
  'runtime-class-missing': ['name'],
  'claim-missing': ['name', 'namespace'],
  'claim-unbound': ['name', 'phase'],
  'permissions-complete': ['count'],
  'permissions-missing': ['here', 'everywhere', 'namespace', 'file'],
  'carriers-known': ['installed', 'absent'],
  'carrier-missing': ['kind', 'api', 'project'],
  'training-runtime-fits': ['kind', 'name'],
  'training-runtime-missing': ['kind', 'name'],
  /** `wanted`: fields as they must be. */
  'training-runtime-unfit': ['kind', 'name', 'wanted'],
  'devices-there': ['count', 'resource', 'nodes'],
  'devices-to-come': ['resource'],
  'devices-missing': ['resource'],
  'devices-unlabelled': ['count', 'resource', 'nodes'],
  'place-now': [],
  // The sentence of these two is that of the obstacle.
  'place-later': [],
  'place-never': [],
  'quota-none': ['namespace'],
  'quota-left': ['count'],
  /** `limits`: "team: requests.nvidia.com/gpu 4/4". */
  'quota-spent': ['limits'],
  'queues-unused': [],
  'queueing-missing': ['queues'],
  'queues-unknown': ['queues', 'namespace'],
  'queues-stopped': ['queues'],
  'queues-known': ['count', 'queues'],
  'clock-untold': [],
  'clocks-agree': [],
  'clocks-differ': ['seconds'],
  'watches-connected': ['count'],
  'watches-lost': ['watches'],
  'local-runs': [],
  'runtime-answers': ['device', 'memoryMib'],
  'runtime-silent': ['command'],
} as const;
export type FindingId = keyof typeof FINDINGS;
export type FindingParams<Id extends FindingId = FindingId> = Readonly<
  Record<(typeof FINDINGS)[Id][number], string | number>
>;
export const FINDING_IDS = Object.keys(FINDINGS) as [FindingId, ...FindingId[]];

/** One thing that an installation needs, looked at. */
export const clusterCheck = z.object({
  topic: z.enum(CHECK_TOPICS),
  /** The one that the topic is of; null where it is of the whole installation. */
  profile: z.string().nullable(),
  id: z.enum(FINDING_IDS),
  state: z.enum(['ok', 'warn', 'fail']),
  params: toldParams,
  /** Why the smallest run has no place (now); null for all other findings. */
  obstacle: obstacle.nullable(),
  /** The same in English: what was looked at, what was found, what to do (null when nothing is to be done). */
  check: z.string(),
  message: z.string(),
  fix: z.string().nullable(),
});
export type ClusterCheck = z.output<typeof clusterCheck>;

export const doctorReport = z.object({
  executor: z.enum(['process', 'kubernetes']),
  /** False when a check failed; warnings do not count. */
  ok: z.boolean(),
  checks: z.array(clusterCheck),
});
export type DoctorReport = z.output<typeof doctorReport>;
