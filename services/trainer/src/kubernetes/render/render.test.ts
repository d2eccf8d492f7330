import { describe, expect, it } from '@jest/globals';
import type { RunSpec } from '@luthier/contracts';
import { runSpec } from '@luthier/contracts';
import type { V1Job } from '@luthier/kube';
import type { Carrier } from '../carriers/carrier.js';
import { JOB } from '../carriers/job.js';
import { JOB_SET } from '../carriers/jobset.js';
import { TRAIN_JOB } from '../carriers/train-job.js';
import { clusterProfile } from '../cluster-profile.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { ANNOTATION } from '../names.js';
import { renderChildren } from './children.js';
import { renderRoot } from './root.js';
import type { History, RenderedRoot } from './root.js';

const IMAGE = `example.test/runtime@sha256:${'a'.repeat(64)}`;
const CAPABILITIES = {
  runtime: 'runtime-torch',
  version: '1',
  modes: ['train'],
  architectures: ['llama'],
  methods: ['supervised'],
  tunings: ['lora'],
  precisions: ['bf16'],
  engines: [{ name: 'torch', usable: true }],
};
const TARGET = { namespace: 'runs', artifactsDir: '/artifacts' };
const RUNNER = { endpointUrl: 'http://endpoint:80', attachToken: 'token', deliveryTimeoutMs: 5 };

const profileOf = (over: Record<string, unknown> = {}): ClusterProfile =>
  clusterProfile.parse({
    ...{ name: 'gpu', runtime: 'runtime-torch', image: IMAGE, command: ['runner'], runtimeCommand: ['runtime'] },
    ...{ capabilities: CAPABILITIES, deviceResource: 'nvidia.com/gpu', cpus: 16, memoryMib: 131_072 },
    ...{ artifactsClaim: 'artifacts', computeMajorAtLeast: 8, deviceProducts: ['NVIDIA-H100-80GB-HBM3'] },
    ...over,
  });

const renderJob = (spec: RunSpec, profile: ClusterProfile, target: typeof TARGET, history?: History) =>
  renderRoot(JOB, spec, profile, target, history) as RenderedRoot & V1Job;

/** Every field carries a value found nowhere else. */
const SPEC: RunSpec = {
  runId: 'run-abcdefghijklmnopqrst',
  jobId: 'ftjob-sentineljob000000000',
  owner: { kind: 'evaluation', id: 'sentinel-owner' },
  attempt: 7,
  generation: 3,
  desired: 'running',
  stopReason: 'pause',
  stopGraceSeconds: 4_711,
  checkpointRequest: 5,
  requestUri: 'artifact://runs/run-abcdefghijklmnopqrst/sentinel.json',
  requestSha256: 'b'.repeat(64),
  resources: {
    ...{ nodes: 3, devicesPerNode: 6, deviceMemoryMib: 40_961, cpu: 13, memoryMib: 65_537, scratchMib: 1_237 },
    deviceProducts: ['sentinel-product'],
  },
  runtime: 'sentinel-runtime',
  profile: 'sentinel-profile',
  queue: 'external',
  queueName: 'sentinel-queue',
  priority: 91_357,
  deadlineSeconds: 98_765,
  avoidNodes: ['sentinel-node'],
  seen: { attempt: 7, objectUid: 'sentinel-seen' },
  closed: true,
};

/** Where each field of a desired run is found in the rendered objects of any kind; null: it steers the trainer, not the pods. */
const SENTINELS: Record<keyof RunSpec, string[] | null> = {
  runId: ['run-abcdefghijklmnopqrst'],
  jobId: ['ftjob-sentineljob000000000'],
  owner: ['evaluation/sentinel-owner'],
  attempt: ['ft-abcdefghijklmnopqrst-7', '"luthier.dev/attempt":"7"'],
  generation: null,
  desired: null,
  stopReason: null,
  stopGraceSeconds: [], // as the kinds have it
  checkpointRequest: null,
  requestUri: ['/sentinel.json'],
  requestSha256: ['b'.repeat(64)],
  resources: [
    '"nvidia.com/gpu":"6"',
    '"40960"',
    '"cpu":"13"',
    '"memory":"65537Mi"',
    '"1237Mi"',
    '"values":["sentinel-product"]',
  ],
  runtime: ['sentinel-runtime'],
  profile: ['sentinel-profile'],
  queue: ['"kueue.x-k8s.io/queue-name":"'],
  queueName: ['"kueue.x-k8s.io/queue-name":"sentinel-queue"'],
  priority: ['"luthier.dev/priority":"91357"', '"kueue.x-k8s.io/priority-class":"urgent"'],
  deadlineSeconds: ['"98765"'],
  avoidNodes: ['"operator":"NotIn","values":["sentinel-node"]'],
  seen: null,
  closed: null,
};

type Found = Partial<Record<keyof RunSpec, string[]>>;

const OF_PODS: Found = {
  resources: [
    ...['"completions":3', '"parallelism":3'],
    ...['"PET_NPROC_PER_NODE","value":"6"', '"PET_NNODES","value":"3"'],
  ],
  stopGraceSeconds: ['"terminationGracePeriodSeconds":4711'],
};
/** Where each kind of object has what is not said in the same words by all, such as the number of nodes. */
const CARRIERS: readonly [kind: string, carrier: Carrier, own: Found][] = [
  ['Job', JOB, OF_PODS],
  ['JobSet', JOB_SET, OF_PODS],
  ['TrainJob', TRAIN_JOB, { resources: ['"numNodes":3', '"numProcPerNode":6'] }],
];

describe('rendering a run', () => {
  const queued = profileOf({
    carrier: { type: 'train-job', runtime: 'torch' },
    queue: 'team-a',
    priorityClasses: [
      { from: 0, name: 'normal' },
      { from: 90_000, name: 'urgent' },
    ],
  });
  const textOf = (carrier: Carrier): string =>
    JSON.stringify([
      renderRoot(carrier, SPEC, queued, TARGET),
      renderChildren(carrier, SPEC, queued, TARGET, 'uid', RUNNER),
    ]);

  it('has a place for each field of the contract', () => {
    expect(Object.keys(SENTINELS).sort()).toEqual(Object.keys(runSpec.shape).sort());
    expect(runSpec.parse(SPEC)).toEqual(SPEC);
  });

  describe.each(CARRIERS)('as a %s', (kind, carrier, own) => {
    const text = textOf(carrier);

    it.each([
      ...[...Object.entries(SENTINELS), ...Object.entries(own)].flatMap(([field, found]) =>
        (found ?? []).map((one) => [field, one]),
      ),
    ])('carries %s as %s', (_field, one) => expect(text).toContain(one));

    it('begins suspended, has what its pods need as children, and goes by its own time', () => {
      expect(renderRoot(carrier, SPEC, queued, TARGET)).toMatchObject({ kind, spec: { suspend: true } });
      const { configMap, secret } = renderChildren(carrier, SPEC, queued, TARGET, 'uid', RUNNER);
      for (const { metadata } of [configMap, secret]) expect(metadata?.ownerReferences).toMatchObject([{ kind }]);
    });
  });

  it('as a JobSet is never made anew, and its pods ask for the first by the name that JobSet gives it', () => {
    const { spec } = renderRoot(JOB_SET, SPEC, profileOf(), TARGET);
    expect(spec).toMatchObject({
      failurePolicy: { maxRestarts: 0 },
      network: { enableDNSHostnames: true, publishNotReadyAddresses: true },
      replicatedJobs: [{ name: 'node', replicas: 1, template: { spec: { backoffLimit: 0 } } }],
    });
    const name = 'ft-abcdefghijklmnopqrst-7';
    expect(JSON.stringify(spec)).toContain(`"PET_MASTER_ADDR","value":"${name}-node-0-0.${name}"`);
    expect(renderChildren(JOB_SET, SPEC, profileOf(), TARGET, 'uid', RUNNER).service).toBeUndefined();
  });

  it('has names of at most 63 characters in any kind, with what Kubernetes adds to them', () => {
    const pod = `${JOB_SET.jobOf('ft-abcdefghijklmnopqrst-9999')}-9999-abcde`;
    expect(pod.length).toBeLessThanOrEqual(63);
    expect(TRAIN_JOB.jobOf('x')).toBe(JOB_SET.jobOf('x'));
  });

  it('as a TrainJob says the time that pods have to leave, but not in a queue of Kueue, which would lose it', () => {
    const textIn = (queue: RunSpec['queue']): string =>
      JSON.stringify(renderRoot(TRAIN_JOB, { ...SPEC, queue }, queued, TARGET));
    expect(textIn('internal')).toContain('"terminationGracePeriodSeconds":4711');
    expect(textIn('external')).not.toContain('terminationGracePeriodSeconds');
  });

  it('as a TrainJob leaves to Kubeflow Trainer what that sets, and says all else by its runtime patch', () => {
    const { spec } = renderRoot(TRAIN_JOB, SPEC, queued, TARGET);
    expect(JSON.stringify(spec)).not.toContain('"PET_');
    const settings = { configMapKeyRef: { name: 'ft-abcdefghijklmnopqrst-7', key: 'LUTHIER_RUN_ENDPOINT' } };
    expect(spec).toMatchObject({
      runtimeRef: { apiGroup: 'trainer.kubeflow.org', kind: 'ClusterTrainingRuntime', name: 'torch' },
      trainer: {
        ...{ image: IMAGE, command: ['runner'] },
        env: expect.arrayContaining([{ name: 'LUTHIER_RUN_ENDPOINT', valueFrom: settings }]),
      },
    });
    const children = renderChildren(TRAIN_JOB, SPEC, queued, TARGET, 'uid', RUNNER);
    const named = Object.keys(children.configMap.data ?? {});
    for (const name of named) expect(JSON.stringify(spec)).toContain(`"key":"${name}"`);
  });

  it('begins suspended, and is never retried by Kubernetes', () => {
    const { spec } = renderJob(SPEC, profileOf(), TARGET);
    expect(spec).toMatchObject({ suspend: true, backoffLimit: 0, completionMode: 'Indexed' });
    expect(spec).not.toHaveProperty('podFailurePolicy');
    expect(spec).not.toHaveProperty('activeDeadlineSeconds');
    expect(spec?.template.spec?.restartPolicy).toBe('Never');
  });

  it('is allowed where pod security is "restricted", and has no token of a service account', () => {
    const pod = renderJob(SPEC, profileOf(), TARGET).spec?.template.spec;
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          image: IMAGE,
          securityContext: {
            ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    });
  });

  it('goes only to nodes with enough device memory and compute capability, not to shared devices', () => {
    const { deviceProducts: _, ...resources } = SPEC.resources;
    const shared = profileOf({ sharedDevices: true });
    const affinity = renderJob({ ...SPEC, resources, avoidNodes: [] }, shared, TARGET).spec?.template.spec?.affinity;
    expect(affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms).toEqual([
      {
        matchExpressions: [
          { key: 'nvidia.com/gpu.memory', operator: 'Gt', values: ['40960'] },
          { key: 'nvidia.com/gpu.compute.major', operator: 'Gt', values: ['7'] },
          { key: 'nvidia.com/gpu.product', operator: 'In', values: ['NVIDIA-H100-80GB-HBM3'] },
          { key: 'nvidia.com/gpu.sharing-strategy', operator: 'NotIn', values: ['time-slicing', 'mps'] },
        ],
      },
    ]);
  });

  it.each(['nvidia.com/mig-1g.10gb', 'amd.com/gpu'])('asks for %s where the profile names it', (deviceResource) => {
    const job = renderJob(SPEC, profileOf({ deviceResource }), TARGET);
    expect(job.spec?.template.spec?.containers[0]?.resources?.limits).toHaveProperty([deviceResource], '6');
  });

  it('asks for no device on the CPU', () => {
    const resources = { ...SPEC.resources, nodes: 1, devicesPerNode: 0, deviceMemoryMib: 0 };
    const { deviceResource: _, ...cpu } = profileOf({ deviceProducts: [] });
    const pod = renderJob({ ...SPEC, resources, avoidNodes: [] }, cpu, TARGET).spec?.template.spec;
    expect(JSON.stringify(pod?.containers[0]?.resources)).not.toContain('gpu');
    expect(pod?.affinity).toBeUndefined();
  });

  it('keeps away from nodes whose device failed or that it was ordered away from, and is still the same attempt', () => {
    const job = renderJob(SPEC, profileOf(), TARGET, { avoidNodes: ['gpu-1'], ranSeconds: 12.2 });
    expect(JSON.stringify(job.spec)).toContain(
      '{"key":"kubernetes.io/hostname","operator":"NotIn","values":["gpu-1","sentinel-node"]}',
    );
    expect(job.metadata.annotations).toMatchObject({ [ANNOTATION.ranSeconds]: '13', [ANNOTATION.avoidNodes]: 'gpu-1' });
    const { avoidNodes: _, ...unordered } = SPEC;
    const without = renderJob(unordered, profileOf(), TARGET);
    expect(job.metadata.annotations[ANNOTATION.specHash]).toBe(without.metadata.annotations[ANNOTATION.specHash]);
  });

  it('is another object when anything that pods see differs', () => {
    const hash = (spec: RunSpec): string | undefined =>
      renderJob(spec, profileOf(), TARGET).metadata.annotations[ANNOTATION.specHash];
    expect(hash({ ...SPEC, stopGraceSeconds: 1 })).not.toBe(hash(SPEC));
    expect(hash({ ...SPEC, checkpointRequest: 6, generation: 9 })).toBe(hash(SPEC));
  });

  it('gives pods the attach token as a secret only, owned by the Job like everything else', () => {
    const children = renderChildren(JOB, SPEC, profileOf(), TARGET, 'uid', RUNNER);
    expect(JSON.stringify(children.configMap)).not.toContain(RUNNER.attachToken);
    for (const child of [children.configMap, children.secret, children.service]) {
      expect(child?.metadata?.ownerReferences).toMatchObject([{ kind: 'Job', uid: 'uid', controller: true }]);
    }
  });

  it.each([
    ['volcano', 'scheduling.volcano.sh/v1beta1'],
    ['coscheduling', 'scheduling.x-k8s.io/v1alpha1'],
  ])('has a pod group for %s', (type, apiVersion) => {
    const { podGroup } = renderChildren(JOB, SPEC, profileOf({ gang: { type } }), TARGET, 'uid', RUNNER);
    expect(podGroup).toMatchObject({ apiVersion, kind: 'PodGroup', spec: { minMember: 3 } });
  });
});
