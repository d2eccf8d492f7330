import { AppError, ERRORS } from './errors.js';
import type { ErrorCode } from './errors.js';
import { EXIT, OUTCOME_ORDER, errorCodeOfExit } from './exit-codes.js';

/** What is known of how a runtime's process ended. */
export interface RuntimeEnd {
  /** null when a signal ended it. */
  exitCode: number | null;
  signal: string | null;
  /** Its last `failed` line. */
  failed?: { code: ErrorCode; message: string; hint: string; step: number };
  /** It wrote a `result` line. */
  hasResult: boolean;
  /** The kernel killed a process of this control group for memory while it ran. */
  oomKilled: boolean;
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

function messageOf(code: ErrorCode, { exitCode, signal }: RuntimeEnd): string {
  const how = signal === null ? `exit status ${exitCode ?? 'unknown'}` : `signal ${signal}`;
  if (exitCode === EXIT.done) return 'The training process ended without a result.';
  return `${ERRORS[code].title} (${how}).`;
}

const DISK_FULL_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What a fault while storing means: a full disk, or a store that cannot be reached. */
export function codeOfStorageError(cause: unknown): ErrorCode {
  if (cause instanceof AppError) return cause.code;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : '';
  return DISK_FULL_ERRORS.has(code) ? 'disk.full' : 'storage.unreachable';
}
