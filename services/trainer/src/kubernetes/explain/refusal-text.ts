import type { RunParams, RunReason } from '@luthier/contracts';
import { shortText } from './excerpt.js';

export interface Refusal {
  reason: Extract<
    RunReason,
    'quota-exceeded' | 'object-refused' | 'namespace-terminating' | 'cluster-forbidden' | 'config-missing'
  >;
  params: RunParams;
  /** More is asked for than there will ever be. */
  hopeless: boolean;
}

const MAX_TEXT = 8 * 1_024;
const QUOTA = /exceeded quota: ([^,\s]+), requested: (.+?), used: (.+?), limited: (\S+)/;
const NO_RIGHT = /User "[^"]*" cannot (\S+) resource "([^"]+)"(?: in API group "([^"]*)")?/;
const SERVICE_ACCOUNT = /error looking up service account ([^:\s]+):/;
const FORBIDDEN = /is forbidden: (.+)$/s;
const WEBHOOK = /(admission webhook "[^"]+" denied the request.*)$/s;
/** What is asked before anything is let in does not answer: it may tomorrow. */
const UNANSWERED = /failed calling webhook "[^"]+".*$/s;
/** How the client of the cluster begins its sentences. */
const CALL = /^Kubernetes: [^(]{1,400}\(\d{3}\): /;

/** Why the API server did not let an object or a pod in, from its sentence (an answer, or an event FailedCreate). */
export function readRefusal(text: string, gpuResource: string): Refusal {
  const read = text.slice(0, MAX_TEXT);
  const quota = QUOTA.exec(read);
  if (quota) return quotaRefusal(quota, gpuResource);
  if (/being terminated|NamespaceTerminating/.test(read)) {
    const name = /namespace "?([a-z0-9.-]+)"? because it is being terminated|namespaces? "([^"]+)"/.exec(read);
    return refusal('namespace-terminating', names(name?.[1] ?? name?.[2]));
  }
  const right = NO_RIGHT.exec(read);
  if (right) {
    const [, verb = '', resource = '', group = ''] = right;
    return refusal('cluster-forbidden', { cause: shortText(`${verb} ${resource}${group === '' ? '' : `.${group}`}`) });
  }
  const account = SERVICE_ACCOUNT.exec(read)?.[1];
  if (account !== undefined) return refusal('config-missing', names(`Service account ${account}`));
  const unanswered = UNANSWERED.exec(read)?.[0];
  if (unanswered !== undefined)
    return { ...refusal('object-refused', { cause: shortText(unanswered) }), hopeless: false };
  const said = (WEBHOOK.exec(read) ?? FORBIDDEN.exec(read))?.[1] ?? read.replace(CALL, '');
  return refusal('object-refused', said.trim() === '' ? {} : { cause: shortText(said) });
}

const names = (name: string | undefined): RunParams => (name === undefined ? {} : { name: shortText(name) });
const refusal = (reason: Refusal['reason'], params: RunParams): Refusal => ({ reason, params, hopeless: true });

function quotaRefusal([, quota = '', ...lists]: RegExpExecArray, gpuResource: string): Refusal {
  const [requested, used, limited] = lists.map(amounts);
  const resources = [...(requested?.keys() ?? [])];
  const resource = resources.find((name) => name.endsWith(gpuResource)) ?? resources[0];
  if (resource === undefined) return { reason: 'quota-exceeded', params: { quota: shortText(quota) }, hopeless: false };
  const [needed, usedNow, limit] = [requested, used, limited].map((list) => list?.get(resource));
  return {
    reason: 'quota-exceeded',
    params: {
      quota: shortText(quota),
      resource: shortText(resource),
      ...(needed !== undefined && { needed }),
      ...(usedNow !== undefined && { used: usedNow }),
      ...(limit !== undefined && { limit }),
    },
    hopeless: typeof needed === 'number' && typeof limit === 'number' && needed > limit,
  };
}

/** "requests.nvidia.com/gpu=4,limits.memory=128Gi"; plain counts become numbers. */
function amounts(list: string): Map<string, string | number> {
  const pairs = list.split(',').flatMap((pair): [string, string | number][] => {
    const cut = pair.lastIndexOf('=');
    if (cut < 1) return [];
    const amount = pair.slice(cut + 1).trim();
    return [[pair.slice(0, cut).trim(), /^\d{1,9}$/.test(amount) ? Number(amount) : shortText(amount)]];
  });
  return new Map(pairs);
}
