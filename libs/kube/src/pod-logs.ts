import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from './backoff.js';
import { KubeError, isKubeError } from './kube-error.js';
import { LineSplitter } from './line-splitter.js';
import { LogResume } from './log-resume.js';
import type { V1Pod } from './objects.js';
import { PODS, pathOf } from './resources.js';
import type { Call, RequestPath } from './request-path.js';
import { networkToKubeError } from './to-kube-error.js';

export interface PodLog {
  namespace: string;
  pod: string;
  /** May be left out when the pod has but one. */
  container?: string;
  tailLines?: number;
}

export interface ReadLogOptions extends PodLog {
  /** @default 1 MiB */
  limitBytes?: number;
  /** Of the container's last run, before it was restarted. */
  previous?: boolean;
  /** RFC 3339. */
  sinceTime?: string;
  signal?: AbortSignal;
}

const MIB = 1024 * 1024;
const MAX_LINE_BYTES = 64 * 1024;
const PAUSE = { baseMs: 500, maxMs: 10_000 };

function logCall(log: PodLog): Call {
  const { namespace, pod, container, tailLines } = log;
  return {
    verb: 'get',
    resource: 'pods/log',
    about: `${namespace}/${pod}`,
    path: pathOf(PODS, { namespace, name: pod, subresource: 'log' }),
    accept: 'text/plain, */*',
    query: { container, tailLines },
  };
}

export function readLog(requests: RequestPath, options: ReadLogOptions): Promise<string> {
  const { limitBytes = MIB, previous, sinceTime, signal } = options;
  const call = logCall(options);
  return requests.text({
    ...call,
    query: { ...call.query, limitBytes, previous, sinceTime },
    maxAnswerBytes: limitBytes + MAX_LINE_BYTES,
    signal,
  });
}

/**
 * Lines as they are written, until the container has ended and all was read, the pod is gone, or `signal` aborts (its
 * reason is thrown). A cut stream is taken up again where it ended, without doubles. Longer lines are cut at 64 KiB.
 * @throws KubeError for what waiting does not heal, such as `forbidden`
 */
export async function* followLog(
  requests: RequestPath,
  log: PodLog,
  getPod: () => Promise<V1Pod | undefined>,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const resume = new LogResume();
  let failures = 0;
  for (;;) {
    // Looked at before reading: a container that had ended by then has nothing more to say afterwards.
    const ended = await hasEnded(log, getPod, signal);
    try {
      const answer = await requests.stream(followCall(log, resume.sinceTime, signal));
      resume.resumed();
      for await (const line of readLines(answer)) {
        failures = 0;
        const fresh = resume.accept(line);
        if (fresh !== undefined) yield fresh;
      }
      if (ended) return;
    } catch (error) {
      signal.throwIfAborted();
      const known = networkToKubeError(`Kubernetes: get pods/log ${log.namespace}/${log.pod}`, error);
      if (known.kind === 'not-found') return;
      if (!heals(known)) throw known;
    }
    failures += 1;
    await sleep(backoffMs(failures, PAUSE, Math.random()), undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

function followCall(log: PodLog, sinceTime: string | undefined, signal: AbortSignal): Call {
  const call = logCall(log);
  // The tail is asked for once; afterwards it would hide lines.
  const tailLines = sinceTime === undefined ? log.tailLines : undefined;
  return { ...call, query: { ...call.query, tailLines, follow: true, timestamps: true, sinceTime }, signal };
}

async function* readLines(answer: IncomingMessage): AsyncGenerator<string, void, undefined> {
  const lines = new LineSplitter(MAX_LINE_BYTES, 'cut');
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) yield* lines.push(chunk);
    const rest = lines.end();
    if (rest !== undefined) yield rest;
  } finally {
    answer.destroy();
  }
}

async function hasEnded(log: PodLog, getPod: () => Promise<V1Pod | undefined>, signal: AbortSignal): Promise<boolean> {
  try {
    const pod = await getPod();
    if (!pod) return true;
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return true;
    const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
    const ours = log.container === undefined ? all : all.filter(({ name }) => name === log.container);
    return ours.length > 0 && ours.every(({ state }) => state?.terminated !== undefined);
  } catch (error) {
    signal.throwIfAborted();
    if (isKubeError(error) && heals(error)) return false;
    throw error;
  }
}

/** A container that has not started yet is answered with 400. */
const heals = (error: KubeError): boolean =>
  error.status === 400 ||
  ['unreachable', 'timeout', 'throttled', 'server-error', 'gone', 'conflict'].includes(error.kind);
