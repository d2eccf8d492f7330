import { AppError } from '@luthier/contracts';

interface StoreFault {
  name?: string;
  code?: string;
  message?: string;
  $metadata?: { httpStatusCode?: number };
}

const ABSENT = new Set(['NoSuchKey', 'NotFound']);
const FULL = new Set(['InsufficientStorage', 'QuotaExceeded', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded']);
const TOO_LARGE = new Set(['EntityTooLarge']);

/** Whether the answer was that nothing has this key; a bucket that is missing is another matter. */
export function isAbsent(cause: unknown): boolean {
  const { name = '', $metadata } = faultOf(cause);
  return ABSENT.has(name) || ($metadata?.httpStatusCode === 404 && name !== 'NoSuchBucket');
}

/** What the store answered, or that it did not, as an error of ours. */
export function s3Error(uri: string, cause: unknown): Error {
  if (cause instanceof AppError) return cause;
  const { name = 'Error', code, message = '', $metadata } = faultOf(cause);
  const status = $metadata?.httpStatusCode;
  // Errors of the SDK carry what was signed and the answer's headers: only what they say is kept.
  const said = [status, name === 'Error' ? code : name, message].filter((part) => part !== undefined && part !== '');
  const details = { cause: new Error(said.join(' ')) };
  if (isAbsent(cause)) return new AppError('storage.not-found', `${uri} is not there`, details);
  if (status === 507 || FULL.has(name)) return new AppError('disk.full', `No space is left for ${uri}`, details);
  if (TOO_LARGE.has(name)) return new AppError('request.too-large', `${uri} is too large for the storage`, details);
  const reason = status === undefined || status < 400 ? 'cannot be reached' : `refuses ${uri}`;
  return new AppError('storage.unreachable', `The storage ${reason} (${name})`, details);
}

const faultOf = (cause: unknown): StoreFault => (typeof cause === 'object' && cause !== null ? cause : {});
