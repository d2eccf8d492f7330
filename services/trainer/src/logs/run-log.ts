import { AppError, idTail } from '@luthier/contracts';
import type { ResponseOf, readRunLog } from '@luthier/contracts';
import { BEGINNING } from './attempt-logs.js';
import type { AttemptLogs, LogPiece } from './attempt-logs.js';

type Answer = ResponseOf<typeof readRunLog>;
interface Place {
  attempt: number;
  at: string;
}

/** What one answer carries of a log that is followed. */
const PIECE_BYTES = 64 * 1024;

/**
 * The log of a run: where its attempts run while they do, then from the store. Nothing is kept between two answers, so
 * that any replica can give the next one.
 */
export class RunLog {
  /** @param sources in the order in which they are asked */
  constructor(private readonly sources: readonly AttemptLogs[]) {}

  /** The end of the newest attempt's log. @throws AppError `run.not-found`. */
  async end(runId: string, node: number, tailBytes: number): Promise<Answer> {
    for (const source of this.sources) {
      const attempt = await source.newest(runId);
      const piece = attempt === undefined ? undefined : await source.end({ runId, attempt, node }, tailBytes);
      if (attempt !== undefined && piece) return answerOf(runId, attempt, piece);
    }
    throw new AppError('run.not-found');
  }

  /** What came after an earlier answer: of its attempt, then of the next. @throws AppError `request.invalid`. */
  async after(runId: string, node: number, cursor: string): Promise<Answer> {
    const { attempt, at } = placeOf(runId, cursor);
    const piece = await this.piece(runId, attempt, node, at);
    if (piece && piece.text !== '') return answerOf(runId, attempt, piece);
    const newest = Math.max(
      ...(await Promise.all(this.sources.map((source) => source.newest(runId)))).map((n) => n ?? 0),
    );
    const next = newest > attempt ? { attempt: attempt + 1, at: BEGINNING } : { attempt, at: piece?.at ?? at };
    return answerOf(runId, next.attempt, { text: '', truncated: false, at: next.at });
  }

  private async piece(runId: string, attempt: number, node: number, at: string): Promise<LogPiece | undefined> {
    for (const source of this.sources) {
      const piece = await source.after({ runId, attempt, node }, at, PIECE_BYTES);
      if (piece) return piece;
    }
    return undefined;
  }
}

const answerOf = (runId: string, attempt: number, { text, truncated, at }: LogPiece): Answer => ({
  ...{ text, truncated },
  cursor: `${idTail(runId)}.${attempt}.${at}`,
});

/** Of a cursor of another run nothing is known: all of this one is new. */
function placeOf(runId: string, cursor: string): Place {
  const [, tail, attempt, at] = /^([a-z0-9]{20})\.([1-9]\d{0,8})\.(.*)$/.exec(cursor) ?? [];
  if (tail !== idTail(runId)) return { attempt: 1, at: BEGINNING };
  return { attempt: Number(attempt), at: at ?? BEGINNING };
}
