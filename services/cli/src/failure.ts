import { ApiError } from '@luthier/api-client';
import { AppError } from '@luthier/contracts';

/** What went wrong and what to do, never a stack trace. */
export function describeFailure(thrown: unknown): string {
  if (thrown instanceof ApiError)
    return withHint(`${thrown.message}${thrown.code === null ? '' : ` (${thrown.code})`}`, thrown.hint);
  if (thrown instanceof AppError) return withHint(`${thrown.message} (${thrown.code})`, thrown.hint);
  return `luthier: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
}

const withHint = (text: string, hint: string | null): string =>
  hint === null ? `luthier: ${text}` : `luthier: ${text}\n  ${hint}`;
