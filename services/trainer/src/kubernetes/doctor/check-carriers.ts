import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient } from '@luthier/kube';
import type { Carrier } from '../carriers/carrier.js';
import { JOB_SET } from '../carriers/jobset.js';
import { TRAIN_JOB } from '../carriers/train-job.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { checkTrainingRuntime } from './check-training-runtime.js';
import { fail, ok } from './findings.js';

const CHECK = 'kinds of objects';
const PROJECTS: readonly [project: string, carrier: Carrier][] = [
  ['JobSet', JOB_SET],
  ['Kubeflow Trainer', TRAIN_JOB],
];

/** What runs can be made as here, and whether that is what the profiles want. `served` as discovery found it. */
export async function checkCarriers(
  client: Pick<KubeClient, 'get'>,
  {
    profiles,
    served,
    namespace,
  }: { profiles: readonly ClusterProfile[]; served: ReadonlySet<string>; namespace: string },
): Promise<ClusterCheck[]> {
  const isServed = ({ resource }: Carrier): boolean => served.has(`${resource.apiVersion}/${resource.plural}`);
  const there = PROJECTS.map(([project, carrier]) => `${project} is ${isServed(carrier) ? '' : 'not '}installed`);
  const findings = await Promise.all(
    profiles.map(async (profile) => {
      const wanted = PROJECTS.find(([, { resource }]) => resource.kind === KINDS[profile.carrier.type]);
      if (wanted && !isServed(wanted[1])) return [missing(profile, ...wanted)];
      return profile.carrier.type === 'train-job' ? checkTrainingRuntime(client, profile, namespace) : [];
    }),
  );
  return [ok(CHECK, `Runs can be Jobs; ${there.join(', ')}.`), ...findings.flat()];
}

const KINDS: Readonly<Partial<Record<ClusterProfile['carrier']['type'], string>>> = {
  jobset: JOB_SET.resource.kind,
  'train-job': TRAIN_JOB.resource.kind,
};

const missing = ({ name }: ClusterProfile, project: string, { resource }: Carrier): ClusterCheck =>
  fail(
    `profile ${name}`,
    `Its runs are made as ${resource.kind}s, and the cluster does not serve ${resource.apiVersion}.`,
    `Install ${project}, or set \`carrier\` of the profile to {"type":"auto"}.`,
  );
