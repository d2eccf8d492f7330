import { describe, expect, it } from '@jest/globals';
import type { RunSpec } from '@luthier/contracts';
import { runSpec } from '@luthier/contracts';
import type { V1Job } from '@luthier/kube';
import { JOB } from '../carriers/job.js';
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

/** Where each field of a desired run is found in the rendered objects; null: it steers the trainer, not the pods. */
const SENTINELS: Record<keyof RunSpec, string[] | null> = {
  runId: ['run-abcdefghijklmnopqrst'],
  jobId: ['ftjob-sentineljob000000000'],
  owner: ['evaluation/sentinel-owner'],
  attempt: ['ft-abcdefghijklmnopqrst-7', '"luthier.dev/attempt":"7"'],
  generation: null,
  desired: null,
  stopReason: null,
  stopGraceSeconds: ['"terminationGracePeriodSeconds":4711'],
  checkpointRequest: null,
  requestUri: ['/sentinel.json'],
  requestSha256: ['b'.repeat(64)],
  resources: [
    '"completions":3',
    '"parallelism":3',
    '"nvidia.com/gpu":"6"',
    '"PET_NPROC_PER_NODE","value":"6"',
    '"PET_NNODES","value":"3"',
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

describe('rendering a run', () => {
  const queued = profileOf({
    queue: 'team-a',
    priorityClasses: [
      { from: 0, name: 'normal' },
      { from: 90_000, name: 'urgent' },
    ],
  });
  const text = JSON.stringify([
    renderJob(SPEC, queued, TARGET),
    renderChildren(JOB, SPEC, queued, TARGET, 'uid', RUNNER),
  ]);

  it('has a place for each field of the contract', () => {
    expect(Object.keys(SENTINELS).sort()).toEqual(Object.keys(runSpec.shape).sort());
    expect(runSpec.parse(SPEC)).toEqual(SPEC);
  });

  it.each(Object.entries(SENTINELS).flatMap(([field, found]) => (found ?? []).map((one) => [field, one])))(
    'carries %s as %s',
    (_field, one) => expect(text).toContain(one),
  );

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
