import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a browser says that its own page of this origin sent the request. Browsers send `Sec-Fetch-Site` or at least
 * `Origin` with everything that changes something; a request with neither is not taken for one of ours.
 */
export function isSameOrigin(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const { origin, host } = headers;
  if (typeof origin !== 'string' || typeof host !== 'string') return false;
  const parsed = URL.canParse(origin) ? new URL(origin) : undefined;
  return parsed?.host === host;
}

/** Whether a browser says that another site sent it. Programs that send neither header are not suspected. */
export const isForeignOrigin = (headers: IncomingHttpHeaders): boolean =>
  (headers['sec-fetch-site'] !== undefined || headers.origin !== undefined) && !isSameOrigin(headers);
