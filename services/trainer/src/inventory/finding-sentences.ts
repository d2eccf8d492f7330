import type { CheckTopic, ClusterCheck, FindingId, FindingParams, FitReason } from '@luthier/contracts';
import { fitSentence, gigabytes } from './fit-sentences.js';

/** A finding in no language. */
export type Found = Pick<ClusterCheck, 'topic' | 'profile' | 'id' | 'params' | 'obstacle'>;
type Say<Id extends FindingId> = (params: FindingParams<Id>) => string;

const always = (text: string) => (): string => text;
const TITLES: Readonly<Record<CheckTopic, (profile: string) => string>> = {
  api: always('api'),
  namespace: always('namespace'),
  permissions: always('permissions'),
  carriers: always('kinds of objects'),
  'service-account': always('service account of the pods'),
  'pull-secret': always('image pull secret'),
  'runtime-class': always('runtime class'),
  storage: always('shared storage'),
  quota: always('quota'),
  queues: always('queues'),
  clock: always('clock'),
  watches: always('watches'),
  executor: always('executor'),
  carrier: (profile) => `kind of objects of ${profile}`,
  'training-runtime': (profile) => `training runtime of ${profile}`,
  devices: (profile) => `devices of ${profile}`,
  place: (profile) => `a place for ${profile}`,
  runtime: (profile) => `runtime of ${profile}`,
};

const unlessEmpty = (value: string | number, text: string): string => (value === '' ? '' : text);

const MESSAGES: { readonly [Id in Exclude<FindingId, 'place-later' | 'place-never'>]: Say<Id> } = {
  'look-forbidden': ({ cause }) => `This could not be looked at: ${cause}`,
  'look-failed': ({ cause }) => `This could not be looked at: ${cause}`,
  'api-answers': ({ kinds }) => `The cluster's API answers and serves ${kinds} kinds.`,
  'api-unauthorized': ({ cause }) => `The cluster does not know the trainer: ${cause}`,
  'api-unreachable': ({ cause }) => `The cluster's API cannot be reached: ${cause}`,
  'object-there': ({ name }) => `${name} is there.`,
  'namespace-missing': ({ name }) => `${name} does not exist.`,
  'service-account-missing': ({ name, namespace }) => `${name} does not exist in namespace ${namespace}.`,
  'pull-secret-missing': ({ name, namespace }) => `${name} does not exist in namespace ${namespace}.`,
  'runtime-class-missing': ({ name }) => `${name} does not exist.`,
  'claim-missing': ({ name, namespace }) => `Claim ${name} does not exist in namespace ${namespace}.`,
  'claim-unbound': ({ name, phase }) => `Claim ${name} is ${phase}: pods that use it cannot start.`,
  'permissions-complete': ({ count }) => `All ${count} permissions of the role file are there.`,
  'permissions-missing': ({ here, everywhere }) =>
    `The trainer may not:${unlessEmpty(here, ` ${here}.`)}${unlessEmpty(everywhere, ` In all namespaces: ${everywhere}.`)}`,
  'carriers-known': ({ installed, absent }) =>
    `Runs can be Jobs.${unlessEmpty(installed, ` Installed: ${installed}.`)}${unlessEmpty(absent, ` Not installed: ${absent}.`)}`,
  'carrier-missing': ({ kind, api }) => `Its runs are made as ${kind}s, and the cluster does not serve ${api}.`,
  'training-runtime-fits': ({ kind, name }) => `${kind} ${name} is there and fits.`,
  'training-runtime-missing': ({ kind, name }) => `${kind} ${name} does not exist.`,
  'training-runtime-unfit': ({ kind, name, wanted }) => `${kind} ${name} must say: ${wanted}.`,
  'devices-there': ({ count, resource, nodes }) =>
    `${count} x ${resource} on ${nodes} ${Number(nodes) === 1 ? 'node' : 'nodes'}.`,
  'devices-to-come': ({ resource }) => `No node offers ${resource}.`,
  'devices-missing': ({ resource }) => `No node offers ${resource}.`,
  'devices-unlabelled': ({ count, resource, nodes }) =>
    `${count} x ${resource}, but these nodes do not tell product and memory of theirs: ${nodes}.`,
  'place-now': () => 'The smallest run could start now.',
  'quota-none': ({ namespace }) => `Namespace ${namespace} has no quota.`,
  'quota-left': ({ count }) => `${count} limits, none used up.`,
  'quota-spent': ({ limits }) => `Used up: ${limits}.`,
  'queues-unused': () => 'No queueing system is installed and none is asked for.',
  'queueing-missing': ({ queues }) => `Profiles name the queues ${queues}, but Kueue is not there.`,
  'queues-unknown': ({ queues, namespace }) => `There is no LocalQueue ${queues} in namespace ${namespace}.`,
  'queues-stopped': ({ queues }) => `Stopped: ${queues}.`,
  'queues-known': ({ count, queues }) => `${count} known${unlessEmpty(queues, `: ${queues}`)}.`,
  'clock-untold': () => 'The API server did not tell its time.',
  'clocks-agree': () => 'The clocks agree.',
  'clocks-differ': ({ seconds }) => `This machine and the API server differ by ${seconds} seconds.`,
  'watches-connected': ({ count }) => `${count} connected.`,
  'watches-lost': ({ watches }) =>
    `Not connected: ${watches}. What is shown may be old; running jobs are not affected.`,
  'local-runs': () => 'Runs are local processes on this machine.',
  'runtime-answers': ({ device, memoryMib }) => `Answers; runs on ${device} with up to ${gigabytes(memoryMib)}.`,
  'runtime-silent': ({ command }) => `The runtime does not say what it can do: ${command}`,
};

const FIXES: { readonly [Id in FindingId]?: Say<Id> } = {
  'look-forbidden': () => 'Apply the role file again (see "permissions").',
  'look-failed': () => 'Try again; see the first failing check and the log.',
  'api-unauthorized': () => 'Renew the token or the kubeconfig.',
  'api-unreachable': () =>
    'Check the address in the kubeconfig, the network policy and the certificate. Running jobs are not affected.',
  'namespace-missing': ({ name }) => `Create it: kubectl create namespace ${name}`,
  'service-account-missing': ({ name, namespace }) =>
    `Create it: kubectl -n ${namespace} create serviceaccount ${name}`,
  'pull-secret-missing': ({ name, namespace }) =>
    `Create it: kubectl -n ${namespace} create secret docker-registry ${name} ...`,
  'runtime-class-missing': () =>
    'Install it (NVIDIA: with the GPU operator), or take `runtimeClassName` out of the profile.',
  'claim-missing': () => 'Create it (ReadWriteMany), or correct `artifactsClaim` of the profile.',
  'claim-unbound': () => 'See `kubectl describe pvc`: mostly its storage class does not exist or has no volume for it.',
  'permissions-missing': ({ file, namespace }) =>
    `Give its service account the rules of ${file} (Role in namespace ${namespace}, ClusterRole).`,
  'carrier-missing': ({ project }) => `Install ${project}, or set \`carrier.type\` of the profile to "auto".`,
  'training-runtime-missing': () => 'Write it as docs/guides/kubernetes.en.md shows.',
  'training-runtime-unfit': () => 'Write it as docs/guides/kubernetes.en.md shows.',
  'devices-to-come': () => 'Nothing to do when nodes are added on demand; the first run then takes longer.',
  'devices-missing': () => 'Install the device plugin (or GPU operator) of the vendor, or correct `deviceResource`.',
  'devices-unlabelled': () =>
    'Install GPU feature discovery (NVIDIA) or the node labeller (AMD): runs are placed by these labels.',
  'place-later': () => 'Nothing to do when the cluster is busy: runs wait.',
  'place-never': () => 'Change the profile or the cluster so that one run fits.',
  'quota-spent': () => 'Runs wait until others end; raise the quota for more at once.',
  'queueing-missing': () => 'Install Kueue, or take `queue` out of the profiles.',
  'queues-unknown': () => 'Create it, or correct `queue` of the profile.',
  'queues-stopped': () => 'See the conditions of the LocalQueue and its ClusterQueue.',
  'clock-untold': () => 'Compare the clocks by hand.',
  'clocks-differ': () => 'Let both follow a time server (NTP): leases and tokens depend on it.',
  'watches-lost': () => 'They connect again by themselves; if not, see "api" and "permissions".',
  'runtime-silent': () => 'Build it, or correct `command` of this profile in LUTHIER_TRAINER_PROFILES.',
};

/** What to change when even the smallest run of a profile has no place. */
const PLACE_FIXES: Readonly<Partial<Record<FitReason, string>>> = {
  'quota-exceeded': 'Raise the quota of the namespace, or lower `cpus` and `memoryMib` of the profile.',
  'limit-exceeded': 'Raise the limit range of the namespace, or lower `cpus` and `memoryMib` of the profile.',
  'no-queueing': 'Install Kueue, or take `queue` out of the profile.',
  'unknown-queue': 'Create the LocalQueue in the namespace of the runs, or correct `queue` of the profile.',
  'queue-too-small': 'Give the ClusterQueue quota for this device, or use another queue.',
  'nodes-not-allowed': 'Add the taint to `tolerations` of the profile, or correct its `nodeSelector`.',
  'not-enough-cpu': 'Lower `cpus` of the profile: no node has as many.',
  'not-enough-memory': 'Lower `memoryMib` of the profile: no node has as much.',
  'devices-shared': 'Set `sharedDevices` of the profile, or stop sharing the devices.',
};

export const topicTitle = ({ topic, profile }: Found): string => TITLES[topic](profile ?? '');

// A finding is only made with the values of its id.
const said = (say: unknown, params: Found['params']): string => (say as (params: Found['params']) => string)(params);

/** The English sentence of a finding; the dashboard has the same ones in the reader's language. */
export const findingSentence = ({ id, params, obstacle }: Found): string =>
  id === 'place-later' || id === 'place-never' ? (obstacle ? fitSentence(obstacle) : '') : said(MESSAGES[id], params);

/** What to do about it; null: nothing. */
export function fixSentence({ id, params, obstacle }: Found): string | null {
  const ofPlace = id === 'place-never' && obstacle ? PLACE_FIXES[obstacle.reason] : undefined;
  return ofPlace ?? (FIXES[id] ? said(FIXES[id], params) : null);
}
