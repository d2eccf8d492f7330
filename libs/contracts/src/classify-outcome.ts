import { z } from 'zod';
import { AppError, ERRORS } from './errors.js';
import type { ErrorCode } from './errors.js';
import { EXIT, OUTCOME_ORDER, errorCodeOfExit } from './exit-codes.js';

/** `ranks.json` of a runtime of several processes: how each rank of this node ended, by exit status or signal. */
export const rankEnds = z.record(z.string().regex(/^\d+$/), z.union([z.int(), z.string()]));
export type RankEnds = z.output<typeof rankEnds>;

/** What is known of how a runtime's process ended. */
export interface RuntimeEnd {
  /** null when a signal ended it. */
  exitCode: number | null;
  signal: string | null;
  /** The most telling of its ranks' `failed` lines. */
  failed?: { code: ErrorCode; message: string; hint: string; step: number };
  /** It wrote a `result` line. */
  hasResult: boolean;
  /** The kernel killed a process of this control group for memory while it ran. */
  oomKilled: boolean;
  /** Where it was several processes. */
  ranks?: RankEnds;
  /** The machine that it ran on, as its cluster calls it. */
  machine?: string;
}

export interface Classification {
  /** Absent: success. */
  code?: ErrorCode;
  message: string;
  hint?: string;
}

const SHELL_SIGNAL_BASE = 128;
const SIGKILL_NUMBER = 9;

/**
 * The one reason of an end, from everything that points to one: the most telling wins (`OUTCOME_ORDER`). A shell's
 * 128 + signal counts as the signal.
 */
export function classifyEnd(end: RuntimeEnd): Classification {
  const fromProcess = codeOfProcess(end);
  if (end.failed && rank(end.failed.code) <= rank(fromProcess)) {
    return { code: end.failed.code, message: end.failed.message, hint: end.failed.hint };
  }
  if (fromProcess === undefined) return { message: 'The run has ended with a result.' };
  return { code: fromProcess, message: messageOf(fromProcess, end), hint: ERRORS[fromProcess].hint };
}

function codeOfProcess(end: RuntimeEnd): ErrorCode | undefined {
  const { exitCode, signal } = end;
  const killed = signal === 'SIGKILL' || exitCode === SHELL_SIGNAL_BASE + SIGKILL_NUMBER;
  if (killed && end.oomKilled) return 'host.out-of-memory';
  if (signal !== null || exitCode === null) return 'runtime.killed';
  if (exitCode > SHELL_SIGNAL_BASE && exitCode <= SHELL_SIGNAL_BASE + 64) return 'runtime.killed';
  if (exitCode === EXIT.done) return end.hasResult ? undefined : 'runtime.crashed';
  return errorCodeOfExit(exitCode);
}

/** Position in the order; success is the least telling, a code outside the order the most. */
const rank = (code: ErrorCode | undefined): number =>
  code === undefined ? OUTCOME_ORDER.length : OUTCOME_ORDER.indexOf(code);

/** Of two ranks of a run, the one whose fault is the cause rather than its consequence; the earlier where both are alike. */
export const moreTelling = <T extends { code: ErrorCode }>(earlier: T | undefined, later: T): T =>
  earlier && rank(earlier.code) <= rank(later.code) ? earlier : later;

function messageOf(code: ErrorCode, end: RuntimeEnd): string {
  if (end.exitCode === EXIT.done) return 'The training process ended without a result.';
  const culprit = culpritOf(end);
  const said = [
    ...(culprit ? [`rank ${culprit[0]}`] : []),
    ...(end.machine === undefined ? [] : [`node "${end.machine}"`]),
    wordOf(culprit?.[1] ?? end.signal ?? end.exitCode),
  ];
  return `${ERRORS[code].title} (${said.join(', ')}).`;
}

const wordOf = (end: number | string | null): string =>
  typeof end === 'string' ? `signal ${end}` : `exit status ${end ?? 'unknown'}`;

/** The rank that ended as the whole is said to have. SIGTERM is what a launcher gives to those that are left. */
function culpritOf({ exitCode, ranks = {} }: RuntimeEnd): [rank: string, end: number | string] | undefined {
  const ends = Object.entries(ranks);
  const killed = ends.filter(([, end]) => typeof end === 'string');
  const bySignal = exitCode === null || exitCode > SHELL_SIGNAL_BASE;
  return bySignal
    ? (killed.find(([, end]) => end !== 'SIGTERM') ?? killed[0])
    : ends.find(([, end]) => end === exitCode);
}

const DISK_FULL_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What a fault while storing means: a full disk, or a store that cannot be reached. */
export function codeOfStorageError(cause: unknown): ErrorCode {
  if (cause instanceof AppError) return cause.code;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
  return DISK_FULL_ERRORS.has(code) ? 'disk.full' : 'storage.unreachable';
}
