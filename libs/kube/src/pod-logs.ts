import { PODS, pathOf } from './resources.js';
import type { RequestPath } from './request-path.js';

export interface ReadLogOptions {
  namespace: string;
  pod: string;
  /** May be left out when the pod has but one. */
  container?: string;
  tailLines?: number;
  /** @default 1 MiB */
  limitBytes?: number;
  /** Of the container's last run, before it was restarted. */
  previous?: boolean;
  /** RFC 3339; only whole seconds count. */
  sinceTime?: string;
  /** Each line after its time. */
  timestamps?: boolean;
  signal?: AbortSignal;
}

const MIB = 1024 * 1024;
/** An answer may go beyond its limit by the end of a line. */
const MAX_LINE_BYTES = 64 * 1024;

export function readLog(requests: RequestPath, options: ReadLogOptions): Promise<string> {
  const { namespace, pod, container, tailLines, limitBytes = MIB, previous, sinceTime, timestamps, signal } = options;
  return requests.text({
    verb: 'get',
    resource: 'pods/log',
    about: `${namespace}/${pod}`,
    path: pathOf(PODS, { namespace, name: pod, subresource: 'log' }),
    accept: 'text/plain, */*',
    query: { container, tailLines, limitBytes, previous, sinceTime, timestamps },
    maxAnswerBytes: limitBytes + MAX_LINE_BYTES,
    signal,
  });
}
