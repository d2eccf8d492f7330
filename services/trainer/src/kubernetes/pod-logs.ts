import { AppError } from '@luthier/contracts';
import { isKubeError, sinceTimeOf } from '@luthier/kube';
import type { LogPosition, ReadLogOptions, V1Pod } from '@luthier/kube';
import { AttemptLogs, BEGINNING } from '../logs/attempt-logs.js';
import type { LogKey, LogPiece } from '../logs/attempt-logs.js';
import { atOf, lastLines, linesAfter, placeOfLines } from '../logs/log-lines.js';
import { LABEL } from './names.js';
import { hasEnded } from './observe-attempt.js';
import type { RunObjects } from './run-objects.js';

/** Reads what the run's container in a pod has written. */
export type PodLogReader = (
  pod: string,
  options: Omit<ReadLogOptions, 'namespace' | 'pod' | 'container'>,
) => Promise<string>;

export interface PodLogsParts {
  objects: Pick<RunObjects, 'newestAttempt' | 'pods'>;
  readLog: PodLogReader;
}

/** What is read at once. A second of a log that is longer cannot be read whole: only its beginning. */
const READ_BYTES = 1024 * 1024;
const TAIL_LINES = 1_000;
const READ_TIMEOUT_MS = 4_000;

/** Logs of pods, through the API, while the pods are there. */
export class PodLogs extends AttemptLogs {
  constructor(private readonly parts: PodLogsParts) {
    super();
  }

  override newest(runId: string): Promise<number | undefined> {
    return Promise.resolve(this.parts.objects.newestAttempt(runId));
  }

  override async end(of: LogKey, limitBytes: number): Promise<LogPiece | undefined> {
    const pod = this.podOf(of);
    if (!pod) return undefined;
    const timed = await this.read(pod, { tailLines: TAIL_LINES }).catch(() => undefined);
    return timed === undefined ? undefined : lastLines(timed, uidOf(pod), limitBytes, isWhole(pod));
  }

  /** @throws AppError `cluster.unreachable` when it cannot be read now */
  override async after(of: LogKey, at: string, limitBytes: number): Promise<LogPiece | undefined> {
    const place = placeOfLines(at);
    const pod = this.podOf(of);
    if (!pod || (!place && at !== BEGINNING)) return undefined;
    const podUid = uidOf(pod);
    const isSame = place === undefined || place.podUid === podUid;
    const position = isSame ? place?.position : undefined;
    const timed = await this.read(pod, position ? { sinceTime: sinceTimeOf(position) } : {});
    if (timed === undefined) return { text: '', truncated: false, at };
    const isFull = Buffer.byteLength(timed) >= READ_BYTES;
    const piece = linesAfter(timed, { podUid, position }, { limitBytes, whole: isWhole(pod) && !isFull });
    if (piece.text !== '' || !isFull || !position) return { ...piece, truncated: piece.truncated || !isSame };
    return { text: '', truncated: false, at: atOf({ podUid, position: nextSecond(position) }) };
  }

  private podOf({ runId, attempt, node }: LogKey): V1Pod | undefined {
    const pods = this.parts.objects.pods({ runId, attempt });
    const ofNode = pods.filter(({ metadata }) => Number(metadata?.labels?.[LABEL.completionIndex] ?? 0) === node);
    // A queue may have taken one away that is still on its way out.
    return ofNode.find(({ metadata }) => metadata?.deletionTimestamp === undefined) ?? ofNode[0];
  }

  /** Undefined while the container has not begun, or when the pod has just gone. */
  private async read(
    pod: V1Pod,
    options: Pick<ReadLogOptions, 'tailLines' | 'sinceTime'>,
  ): Promise<string | undefined> {
    const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
    try {
      const limit = { limitBytes: READ_BYTES, timestamps: true, signal };
      return await this.parts.readLog(pod.metadata?.name ?? '', { ...limit, ...options });
    } catch (error) {
      if (isKubeError(error, 'not-found') || (isKubeError(error) && error.status === 400)) return undefined;
      throw new AppError('cluster.unreachable', undefined, { cause: error });
    }
  }
}

const uidOf = ({ metadata }: V1Pod): string => metadata?.uid ?? '';

/** Nothing will be added to its last line. */
const isWhole = (pod: V1Pod): boolean => hasEnded(pod);

const nextSecond = ({ last }: LogPosition): LogPosition => {
  const next = new Date(Date.parse(`${last.slice(0, 19)}Z`) + 1_000).toISOString();
  return { last: `${next.slice(0, 19)}.000000000`, alike: 0 };
};
