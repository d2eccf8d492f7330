import type { RunParams, RunReason } from '@luthier/contracts';
import { shortText } from './excerpt.js';
import type { ContainerFacts, EventFacts, PodFacts } from './facts.js';

/** Why a pod that has a node does not run yet. */
export interface StartTrouble {
  reason: Extract<RunReason, 'image-pull' | 'config-missing' | 'pulling-image' | 'containers-starting'>;
  params: RunParams;
  text: string;
  fatal: boolean;
  afterMs: number;
}

const MINUTE_MS = 60_000;
const IMAGE_AFTER_MS = 5 * MINUTE_MS;
const CONFIG_AFTER_MS = 2 * MINUTE_MS;
/** Images of many GiB over a slow line are still being fetched after this, but not after much longer. */
const PULLING_AFTER_MS = 60 * MINUTE_MS;
const STARTING_AFTER_MS = 15 * MINUTE_MS;

const IMAGE_REASONS = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
  'SignatureValidationFailed',
]);
const CONFIG_REASONS = new Set(['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError']);
const MISSING = /\b(secret|configmap|persistentvolumeclaim|serviceaccount)s? "([^"]{1,253})" (?:is )?not found/i;
const MISSING_KEY = /couldn't find key (\S{1,253}) in (Secret|ConfigMap) (?:[a-z0-9.-]+\/)?([a-z0-9.-]{1,253})/i;
const KINDS: Readonly<Record<string, string>> = {
  secret: 'Secret',
  configmap: 'ConfigMap',
  persistentvolumeclaim: 'Volume claim',
  serviceaccount: 'Service account',
};

/** Undefined when every container runs or has ended. `events` are those of the pod, newest first. */
export function readStart(pod: PodFacts, events: readonly EventFacts[]): StartTrouble | undefined {
  const troubled = pod.containers.find(({ waiting }) => waiting && IMAGE_REASONS.has(waiting.reason));
  if (troubled) return imageTrouble(troubled, events);
  const misconfigured = pod.containers.find(({ waiting }) => waiting && CONFIG_REASONS.has(waiting.reason));
  if (misconfigured) return configTrouble(misconfigured.waiting?.message ?? '');
  const newest = events.find(({ reason }) =>
    /^(?:FailedMount|FailedAttachVolume|Pulling|Pulled|Started)$/.test(reason),
  );
  if (newest?.reason === 'FailedMount' || newest?.reason === 'FailedAttachVolume') return configTrouble(newest.message);
  if (newest?.reason === 'Pulling') {
    const image = /image "([^"]{1,512})"/.exec(newest.message)?.[1] ?? pod.containers[0]?.image ?? '';
    const params = image === '' ? {} : { image: shortText(image) };
    return { reason: 'pulling-image', params, text: newest.message, fatal: false, afterMs: PULLING_AFTER_MS };
  }
  const sandbox = events.find(({ reason }) => reason === 'FailedCreatePodSandBox');
  return {
    reason: 'containers-starting',
    params: {},
    text: sandbox?.message ?? '',
    fatal: false,
    afterMs: STARTING_AFTER_MS,
  };
}

function imageTrouble({ waiting, image }: ContainerFacts, events: readonly EventFacts[]): StartTrouble {
  const invalid = waiting?.reason === 'InvalidImageName' || waiting?.reason === 'ErrImageNeverPull';
  // "Back-off pulling image" says nothing; the event before it says why.
  const said = events.find(({ reason, message }) => reason === 'Failed' && /pull|image/i.test(message))?.message ?? '';
  const own = waiting?.message ?? '';
  const text = said !== '' && !/: /.test(own.replace(/"[^"]*"/g, '')) ? said : own || said;
  const cause = invalid ? 'badName' : imageCause(text);
  return {
    reason: 'image-pull',
    params: { ...(image !== '' && { image: shortText(image) }), ...(cause !== undefined && { cause }) },
    text,
    fatal: true,
    afterMs: invalid ? 0 : IMAGE_AFTER_MS,
  };
}

function imageCause(text: string): string | undefined {
  if (/unauthori[sz]ed|authentication required|no basic auth|denied|\b40[13]\b|forbidden/i.test(text)) {
    return 'notAllowed';
  }
  if (/manifest unknown|not found|\b404\b|does not exist/i.test(text)) return 'notFound';
  if (/toomanyrequests|rate limit|\b429\b/i.test(text)) return 'rateLimited';
  if (/timeout|dial tcp|no such host|connection refused|i\/o|unreachable|EOF|x509|tls/i.test(text)) {
    return 'unreachable';
  }
  if (/no space left/i.test(text)) return 'diskFull';
  return undefined;
}

function configTrouble(text: string): StartTrouble {
  const [, key, keyKind, keyIn] = MISSING_KEY.exec(text) ?? [];
  const [, kind = '', name] = MISSING.exec(text) ?? [];
  const params: RunParams =
    key !== undefined && keyIn !== undefined
      ? { name: shortText(`The key "${key}" of ${keyKind} "${keyIn}"`) }
      : name !== undefined
        ? { name: shortText(`${KINDS[kind.toLowerCase()] ?? kind} "${name}"`) }
        : text.trim() === ''
          ? {}
          : { cause: shortText(text) };
  return { reason: 'config-missing', params, text, fatal: true, afterMs: CONFIG_AFTER_MS };
}
