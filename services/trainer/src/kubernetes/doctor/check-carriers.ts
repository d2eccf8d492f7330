import type { ClusterCheck } from '@luthier/contracts';
import type { KubeClient } from '@luthier/kube';
import { fail, ok } from '../../inventory/findings.js';
import type { Carrier } from '../carriers/carrier.js';
import { JOB_SET } from '../carriers/jobset.js';
import { TRAIN_JOB } from '../carriers/train-job.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { checkTrainingRuntime } from './check-training-runtime.js';

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
  const projects = (are: boolean): string =>
    PROJECTS.flatMap(([project, carrier]) => (isServed(carrier) === are ? [project] : [])).join(', ');
  const findings = await Promise.all(
    profiles.map(async (profile) => {
      const wanted = PROJECTS.find(([, { resource }]) => resource.kind === KINDS[profile.carrier.type]);
      if (wanted && !isServed(wanted[1])) return [missing(profile, ...wanted)];
      return profile.carrier.type === 'train-job' ? checkTrainingRuntime(client, profile, namespace) : [];
    }),
  );
  return [ok('carriers', 'carriers-known', { installed: projects(true), absent: projects(false) }), ...findings.flat()];
}

const KINDS: Readonly<Partial<Record<ClusterProfile['carrier']['type'], string>>> = {
  jobset: JOB_SET.resource.kind,
  'train-job': TRAIN_JOB.resource.kind,
};

const missing = ({ name }: ClusterProfile, project: string, { resource }: Carrier): ClusterCheck =>
  fail({ topic: 'carrier', profile: name }, 'carrier-missing', {
    ...{ kind: resource.kind, api: resource.apiVersion, project },
  });
