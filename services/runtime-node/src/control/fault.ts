import { AppError } from '@luthier/contracts';
import type { ErrorCode } from '@luthier/contracts';
import { isFormatError } from '@luthier/formats';

const systemCode = (thrown: unknown): string | undefined =>
  thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;

/** What a fault means when it carries no code of ours: a full disk or exhausted memory are recognised anywhere. */
export function faultOf(thrown: unknown, fallback: ErrorCode): AppError {
  if (thrown instanceof AppError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const code = systemCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT') return new AppError('disk.full', message, { cause: thrown });
  if (/failed to allocate|bad_alloc|Array buffer allocation failed/i.test(message)) {
    return new AppError('device.out-of-memory', message, { cause: thrown });
  }
  return new AppError(fallback, message, { cause: thrown });
}

/** Runs `work`; what it throws without a code of ours is reported as `code` (reading a model, reading data). */
export async function blaming<T>(code: ErrorCode, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (isFormatError(thrown) || thrown instanceof RangeError || systemCode(thrown)) throw faultOf(thrown, code);
    throw thrown;
  }
}

/** What is not finite has been trained too far: names the last checkpoint from before it, to go on from with a lower rate. */
export function namingCheckpoint(
  thrown: unknown,
  last: { readonly step: number; readonly dir: string } | undefined,
): unknown {
  if (!(thrown instanceof AppError) || thrown.code !== 'training.diverged') return thrown;
  const kept = last
    ? `The last checkpoint before it is of step ${last.step} (${last.dir}).`
    : 'There is no checkpoint before it.';
  return new AppError(thrown.code, `${thrown.message} ${kept}`, { hint: thrown.hint, cause: thrown });
}
