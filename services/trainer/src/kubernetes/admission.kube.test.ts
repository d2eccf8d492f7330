import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CODE_OF_REASON, ERRORS } from '@luthier/contracts';
import type { RunSpec } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, KubeObject } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';
import { ImagePolicy, policedImage } from '../testing/image-policy.js';
import type { Verdict } from '../testing/image-policy.js';
import { dashboardSentences } from '../testing/told-sentence.js';

/** By the name of the image, which is that of the profile too. */
const VERDICTS: Readonly<Record<string, Verdict>> = {
  'unsigned-pod': { type: 'refuse', of: 'Pod', message: 'the image is not signed' },
  'unsigned-job': { type: 'refuse', of: 'Job', message: 'the image of the template is not signed' },
  'host-network': { type: 'change', of: 'Pod', patch: [{ op: 'add', path: '/spec/hostNetwork', value: true }] },
  'unanswered-pod': { type: 'silent', of: 'Pod' },
  'unanswered-job': { type: 'closed', of: 'Job' },
};
const PROFILES = [...Object.keys(VERDICTS), 'allowed', 'forbidden-job', 'sharing'].map((name) =>
  fakeProfile(name, { image: policedImage(name), preRunningSeconds: 600 }),
);
const POLICY = 'no-forbidden-jobs';
const ADMISSION = 'admissionregistration.k8s.io/v1';
const RUN: { type: 'run' } = { type: 'run' };
const CANCELLED = { desired: 'stopped', stopReason: 'cancel' } as const;

interface Refusal {
  /** In the sentence of the API, which the Chinese one has the cause of in common. */
  says: RegExp;
  /** The API server's own words. */
  excerpt: RegExp;
  made: 'a Job' | 'nothing';
}

const REFUSED: Readonly<Record<string, Refusal>> = {
  'unsigned-pod': {
    says: /refused the run: admission webhook "images\.test\.luthier\.dev" denied the request: the image is not signed/,
    excerpt: /denied the request: the image is not signed$/,
    made: 'a Job',
  },
  'unsigned-job': {
    says: /refused the run: admission webhook "images\.test\.luthier\.dev" denied the request: the image of the template/,
    excerpt: /denied the request: the image of the template is not signed$/,
    made: 'nothing',
  },
  'host-network': {
    says: /refused the run: violates PodSecurity "restricted:latest": host namespaces \(hostNetwork=true\)/,
    excerpt: /violates PodSecurity "restricted:latest"/,
    made: 'a Job',
  },
  'forbidden-job': {
    says: /refused the run: ValidatingAdmissionPolicy 'no-forbidden-jobs' with binding 'no-forbidden-jobs' denied request/,
    excerpt: /denied request: not in this namespace/,
    made: 'nothing',
  },
};

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('runs that the cluster does not let in', () => {
  let cluster: ControlPlane;
  let place: ClusterPlace;
  let shared: ClusterPlace;
  let policy: ImagePolicy;
  let sentences: Awaited<ReturnType<typeof dashboardSentences>>;
  /** All at once, since most of them wait. */
  const runs = new Map<string, RunSpec>();
  const runOf = (profile: string): RunSpec => {
    const spec = runs.get(profile);
    if (!spec) throw new Error(`no run of ${profile} was put`);
    return spec;
  };

  beforeAll(async () => {
    sentences = await dashboardSentences();
    cluster = await startControlPlane();
    const fates = new Fates();
    await cluster.startKubelet({ fateOf: fates.of, nodes: [{ name: 'admitted-1', gpus: 0 }] });
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const options = { fates, profiles: PROFILES };
    [place, shared] = await Promise.all([
      ClusterPlace.start(cluster, { ...options, labels }),
      ClusterPlace.start(cluster, options),
    ]);
    [policy] = await Promise.all([
      ImagePolicy.start(cluster, place.namespace, VERDICTS),
      refuseJobs(cluster, place.namespace),
    ]);
    for (const { name } of PROFILES) if (name !== 'sharing') runs.set(name, await place.run(name, RUN));
  }, 900_000);
  afterAll(async () => {
    await policy.stop();
    for (const kind of ['validatingadmissionpolicybindings', 'validatingadmissionpolicies'])
      await cluster.api.delete(`/apis/${ADMISSION}/${kind}/${POLICY}`);
    await Promise.all([place.stop(), shared.stop()]);
    await cluster.stop();
  });

  it('run as they are rendered where pod security is "restricted"', async () => {
    expect(await place.running(runOf('allowed'))).toMatchObject({ attempt: 1, incarnation: 1 });
  });

  it.each(Object.entries(REFUSED))(
    'end with the words of the API server and a next step: %s',
    async (profile, { says, excerpt, made }) => {
      const spec = runOf(profile);
      const status = await place.ended(spec);
      expect(status).toMatchObject({ reason: 'object-refused', incarnation: 0, pods: [] });
      expect(status.message).toMatch(says);
      expect(status.excerpt).toMatch(excerpt);
      expect(sentences('zh', status)).toContain(String(status.params?.cause));
      expect(status.objectUid === undefined ? 'nothing' : 'a Job').toBe(made);
      expect(ERRORS[CODE_OF_REASON[status.reason] ?? 'internal'].hint).not.toBe('');
      expect(await place.podsOf(spec)).toEqual([]);
    },
  );

  it.each(['unanswered-pod', 'unanswered-job'])(
    'wait for a webhook that does not answer, say so, and go on when it does: %s',
    async (profile) => {
      const spec = runOf(profile);
      const waiting = await place.until(spec, ({ reason }) => reason === 'object-refused');
      expect(waiting.phase).not.toBe('ended');
      expect(waiting.message).toMatch(/refused the run: failed calling webhook "images\.test\.luthier\.dev"/);
      expect(waiting.excerpt).toMatch(/failed calling webhook/);
      policy.forgive(profile);
      expect(await place.running(spec)).toMatchObject({ attempt: 1, incarnation: 1 });
    },
  );

  it.each([
    ['pods', 'scheduling'],
    ['count/jobs.batch', 'creating'],
  ])('wait while others use up a quota of %s, and start when it is raised', async (resource, phase) => {
    const [name = ''] = resource.split('/');
    const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name, namespace: shared.namespace } };
    await cluster.apply({ ...quota, spec: { hard: { [resource]: '1' } } });
    const path = `/api/v1/namespaces/${shared.namespace}/resourcequotas/${name}`;
    await waitFor(async () => (await cluster.api.get<Quota>(path)).status?.used?.[resource] !== undefined);
    const first = await shared.run('sharing', RUN);
    await shared.running(first);
    const second = await shared.run('sharing', RUN);
    const told = await shared.until(second, ({ reason }) => reason === 'quota-exceeded');
    expect(told).toMatchObject({ phase, params: { quota: name, resource, needed: 1, used: 1, limit: 1 } });
    await cluster.apply({ ...quota, spec: { hard: { [resource]: '2' } } });
    await shared.running(second);
    for (const spec of [first, second]) await shared.change(spec, { ...CANCELLED, closed: true });
    await cluster.api.delete(path);
  });
});

interface Quota extends KubeObject {
  status?: { used?: Record<string, string> };
}

/** By a policy of the API server itself. */
async function refuseJobs(cluster: ControlPlane, namespace: string): Promise<void> {
  const rule = { apiGroups: ['batch'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['jobs'] };
  const expression = '!object.spec.template.spec.containers[0].image.startsWith("forbidden-job")';
  await cluster.apply(
    {
      ...{ apiVersion: ADMISSION, kind: 'ValidatingAdmissionPolicy', metadata: { name: POLICY } },
      spec: {
        matchConstraints: { resourceRules: [rule] },
        validations: [{ expression, message: 'not in this namespace' }],
      },
    },
    {
      ...{ apiVersion: ADMISSION, kind: 'ValidatingAdmissionPolicyBinding', metadata: { name: POLICY } },
      spec: {
        ...{ policyName: POLICY, validationActions: ['Deny'] },
        matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } },
      },
    },
  );
  const container = { name: 'c', image: 'forbidden-job' };
  const template = { spec: { restartPolicy: 'Never', containers: [container] } };
  const body = { metadata: { generateName: 'probe-' }, spec: { suspend: true, template } };
  const refused = (): Promise<boolean> =>
    cluster.api
      .call('POST', `/apis/batch/v1/namespaces/${namespace}/jobs`, { body, query: { dryRun: 'All' } })
      .then(() => false)
      .catch((cause: unknown) => String(cause).includes('not in this namespace'));
  await waitFor(refused, { what: 'the API server to heed the policy' });
}
