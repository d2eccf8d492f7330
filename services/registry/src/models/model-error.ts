import { AppError } from '@luthier/contracts';
import { isFormatError } from '@luthier/formats';

const NO_SPACE = new Set<unknown>(['ENOSPC', 'EDQUOT']);

/** What went wrong while files of a model were read or made: `model.unreadable`, `disk.full`, or what it is already. */
export function modelError(thrown: unknown): AppError {
  if (isFormatError(thrown)) return new AppError('model.unreadable', thrown.message, { cause: thrown });
  if (thrown instanceof Error && 'code' in thrown && NO_SPACE.has(thrown.code))
    return new AppError('disk.full', 'There is no space to convert the model', { cause: thrown });
  return AppError.from(thrown);
}
