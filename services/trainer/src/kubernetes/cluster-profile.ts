import { z } from 'zod';
import { capabilities } from '@luthier/contracts';

const quantityMib = z.int().positive();
const seconds = (fallback: number) => z.int().positive().default(fallback);
const labelName = z.string().min(1).max(317);
const objectName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, 'expected the name of a Kubernetes object');

const toleration = z.object({
  key: labelName.exactOptional(),
  operator: z.enum(['Exists', 'Equal']).exactOptional(),
  value: z.string().exactOptional(),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).exactOptional(),
  tolerationSeconds: z.int().nonnegative().exactOptional(),
});

/** How all pods of a run start together when no queueing system sees to it. */
const gang = z.discriminatedUnion('type', [
  /** Guarded by the pre-running deadline alone. */
  z.object({ type: z.literal('none') }),
  z.object({ type: z.literal('volcano'), queue: z.string().min(1).optional() }),
  z.object({ type: z.literal('coscheduling'), scheduleTimeoutSeconds: seconds(600) }),
]);

/** The kind of object that an attempt is made as; its pods are the same in all of them. */
const carrier = z.discriminatedUnion('type', [
  /** A JobSet for more than one node where JobSet is installed, else a Job. */
  z.object({ type: z.literal('auto') }),
  z.object({ type: z.literal('job') }),
  z.object({ type: z.literal('jobset') }),
  /** Of Kubeflow Trainer. What a TrainJob cannot say of its pods, the runtime says. */
  z.object({
    type: z.literal('train-job'),
    runtime: objectName,
    runtimeKind: z.enum(['ClusterTrainingRuntime', 'TrainingRuntime']).default('ClusterTrainingRuntime'),
  }),
]);

/** A kind of pod that runs can be placed in: image, device, where it may land, and how long each stage is waited for. */
export const clusterProfile = z
  .object({
    name: z.string().min(1).max(63),
    /** What run specs call it. */
    runtime: z.string().min(1),
    /** With its digest: what was checked is what runs. */
    image: z.string().regex(/@sha256:[0-9a-f]{64}$/, 'expected an image by digest: name@sha256:...'),
    imagePullSecrets: z.array(objectName).default([]),
    /** The runner's command in the image. */
    command: z.array(z.string().min(1)).min(1),
    /** The runtime's command in the image, before `train spec.json`. */
    runtimeCommand: z.array(z.string().min(1)).min(1),
    capabilities,
    /** Extended resource of one device; without it the profile trains on the CPU. */
    deviceResource: z
      .string()
      .regex(/^[a-z0-9.-]+\/[A-Za-z0-9._-]+$/, 'expected vendor/resource, such as nvidia.com/gpu')
      .optional(),
    /** Label prefix under which nodes tell about their devices. */
    deviceLabels: z.enum(['nvidia', 'amd', 'none']).default('nvidia'),
    /** Products to choose from, as the node's product label spells them; empty: any. */
    deviceProducts: z.array(z.string().min(1)).default([]),
    /** Major compute capability at least (8: bf16). */
    computeMajorAtLeast: z.int().positive().optional(),
    /** Whether a run of one device may land on a device shared by time-slicing or MPS. */
    sharedDevices: z.boolean().default(false),
    nodeSelector: z.record(labelName, z.string()).default({}),
    tolerations: z.array(toleration).default([]),
    runtimeClassName: objectName.optional(),
    schedulerName: objectName.optional(),
    carrier: carrier.default({ type: 'auto' }),
    gang: gang.default({ type: 'none' }),
    /** Runs wait in this Kueue queue; without it training's own queue admits. */
    queue: objectName.optional(),
    /** Kueue priority classes by the least priority that they are for. */
    priorityClasses: z.array(z.object({ from: z.int(), name: objectName })).default([]),
    topology: z
      .object({ mode: z.enum(['required', 'preferred', 'unconstrained']), level: z.string().optional() })
      .optional(),
    serviceAccount: objectName.default('luthier-run'),
    /** For shared memory between data loaders and ranks; counts against the memory limit. */
    sharedMemoryMib: quantityMib.default(1024),
    /** Claim with the artifact store's files, mounted where the trainer has it. */
    artifactsClaim: objectName.optional(),
    environment: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).default({}),
    /** Most that one run may take. */
    cpus: z.number().positive(),
    memoryMib: quantityMib,
    scratchMib: quantityMib.default(20 * 1024),
    /** Runs beside each other at most. */
    slots: z.int().positive().default(1_000),
    /** Nodes come on demand: what fits on no present node may still fit. */
    autoscaled: z.boolean().default(false),
    user: z.int().positive().default(1000),
    /** All pods must run this long after they were let go. */
    preRunningSeconds: seconds(30 * 60),
    imagePullSeconds: seconds(5 * 60),
    configErrorSeconds: seconds(2 * 60),
    /** A node that is silent for so long has lost its pods. */
    nodeLostSeconds: seconds(5 * 60),
    /** A run whose pods run but which says nothing for so long hangs. */
    stallSeconds: seconds(15 * 60),
    /** Backstop: finished objects that nobody removed go by themselves. */
    ttlSeconds: seconds(24 * 60 * 60),
  })
  .refine(
    ({ carrier: { type }, gang: { type: together }, runtimeClassName, schedulerName }) =>
      type !== 'train-job' || (together === 'none' && runtimeClassName === undefined && schedulerName === undefined),
    'the training runtime of a TrainJob says runtimeClassName, schedulerName and gang (its podGroupPolicy), not the profile',
  );
export type ClusterProfile = z.output<typeof clusterProfile>;

/** Where the trainer makes runs and how their pods reach it. */
export const clusterSettings = z.object({
  namespace: objectName.default('luthier-training'),
  /** Path of a kubeconfig; without it the pod's own service account. */
  kubeconfig: z.string().min(1).optional(),
  /** Context of the kubeconfig. */
  context: z.string().min(1).optional(),
  /** Requests a second to the Kubernetes API; 0: no limit. */
  requestsPerSecond: z.number().nonnegative().default(50),
  requestBurst: z.int().positive().default(100),
  /** How often to look whether Kueue, JobSet or Kubeflow Trainer was installed. @default 30 */
  queueRecheckSeconds: z.number().positive().exactOptional(),
  /** Another replica decides when the one that does has said nothing for so long. @default 15 */
  leaseSeconds: z.int().positive().exactOptional(),
  /** A Job that was never let go is removed when nothing has been known of its run for so long. @default 600 */
  orphanSeconds: z.int().positive().exactOptional(),
  profiles: z.array(clusterProfile).min(1),
});
export type ClusterSettings = z.output<typeof clusterSettings>;
