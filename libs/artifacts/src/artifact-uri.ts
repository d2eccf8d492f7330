import { AppError } from '@luthier/contracts';

export const SCHEME = 'artifact://';
const MAX_LENGTH = 1_024;
/** A part of a path: no separator, no control character, not `.` or `..`, no leading dot (temporary files have one). */
const PART = /^[A-Za-z0-9_@+=,~-][A-Za-z0-9._@+=,~ -]{0,254}$/;

/**
 * `artifact://<kind>/<id>/<path…>`, e.g. `artifact://files/file-…/data.jsonl`.
 * @throws AppError `request.invalid` when a part could leave its folder or is not portable.
 */
export function artifactUri(kind: string, id: string, ...path: string[]): string {
  const parts = [kind, id, ...path.flatMap((part) => part.split('/'))];
  partsOf(`${SCHEME}${parts.join('/')}`);
  return SCHEME + parts.join('/');
}

/** The URI of a path below the root of a store; undefined when nothing of ours can be called so. */
export function uriOfPath(path: string): string | undefined {
  const parts = path.split('/');
  return isUri(parts) ? uriOfParts(parts) : undefined;
}

const isUri = (parts: readonly string[]): boolean =>
  parts.length >= 2 && uriOfParts(parts).length <= MAX_LENGTH && parts.every((part) => PART.test(part));

/** The validated parts of a URI: at least kind and id. @throws AppError `request.invalid`. */
export function partsOf(uri: string): string[] {
  const parts = uri.startsWith(SCHEME) ? uri.slice(SCHEME.length).split('/') : [];
  if (!isUri(parts)) {
    throw new AppError('request.invalid', `${JSON.stringify(uri.slice(0, 200))} is not an artifact URI`, {
      param: 'uri',
    });
  }
  return parts;
}

/** As `partsOf`, for prefixes: a kind alone is allowed, and a slash at the end. */
export function prefixPartsOf(prefix: string): string[] {
  const trimmed = prefix.endsWith('/') && prefix !== SCHEME ? prefix.slice(0, -1) : prefix;
  const parts = trimmed.startsWith(SCHEME) ? trimmed.slice(SCHEME.length).split('/') : [];
  if (parts.length === 0 || trimmed.length > MAX_LENGTH || !parts.every((part) => PART.test(part))) {
    throw new AppError('request.invalid', `${JSON.stringify(prefix.slice(0, 200))} is not an artifact prefix`, {
      param: 'prefix',
    });
  }
  return parts;
}

export const uriOfParts = (parts: readonly string[]): string => SCHEME + parts.join('/');
