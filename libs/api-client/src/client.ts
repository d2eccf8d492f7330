import createFetchClient from 'openapi-fetch';
import type { Client } from 'openapi-fetch';
import type { components, paths } from './schema.generated.js';

/** The names of the records on the wire, e.g. `Schemas['Job']`. */
export type Schemas = components['schemas'];
export type ApiPaths = paths;
export type LuthierClient = Client<paths>;

export interface ClientOptions {
  /** Address of the platform, e.g. `http://127.0.0.1:8080`; in a browser the own origin: `''` or `/`. */
  baseUrl: string;
  /** `lk-…`. Left out in a browser, which is signed in by its cookie. */
  apiKey?: string;
  /** @default the global one */
  fetch?: (request: Request) => Promise<Response>;
}

/**
 * A typed client of every public route. Calls answer `{data}` or `{error, response}`; `unwrap` turns the latter into a
 * thrown `ApiError`.
 */
export function createClient({ baseUrl, apiKey, fetch }: ClientOptions): LuthierClient {
  return createFetchClient<paths>({
    baseUrl: baseUrl.replace(/\/+$/, ''),
    credentials: 'same-origin',
    ...(apiKey !== undefined && { headers: { Authorization: `Bearer ${apiKey}` } }),
    ...(fetch && { fetch }),
  });
}
