import { z } from 'zod';

/** Where an S3 store is. Credentials are not part of it: the SDK finds them (environment, profile, role). */
export interface S3Settings {
  bucket: string;
  /** Before every key; without a slash at its ends, maybe empty. */
  prefix: string;
  region: string | undefined;
  /** Of a server that is not AWS. */
  endpoint: string | undefined;
  /** The name by which those who get URLs reach the server, when it is another one. */
  publicEndpoint: string | undefined;
  /** Whether the bucket is in the path rather than in the host name. */
  pathStyle: boolean;
}

const endpoint = z
  .url({ protocol: /^https?$/ })
  .refine((text) => new URL(text).username === '' && new URL(text).search === '', 'no credentials and no query');

const settings = z.strictObject({
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'not the name of a bucket'),
  prefix: z.string().regex(/^([A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$/, 'not a prefix'),
  region: z.string().min(1).optional(),
  endpoint: endpoint.optional(),
  publicEndpoint: endpoint.optional(),
  pathStyle: z.stringbool().optional(),
});

/**
 * `s3://bucket/prefix?region=…&endpoint=…&publicEndpoint=…&pathStyle=…`; the query may be left out.
 * @throws z.ZodError that names what is wrong.
 */
export function s3SettingsOf(url: string): S3Settings {
  const { hostname, pathname, searchParams } = new URL(url);
  const prefix = pathname.replace(/^\/|\/$/g, '');
  const parsed = settings.parse({ ...Object.fromEntries(searchParams), bucket: hostname, prefix });
  return {
    ...{ bucket: parsed.bucket, prefix, endpoint: parsed.endpoint, publicEndpoint: parsed.publicEndpoint },
    // Other servers seldom look at the region, and rarely have a host name for each bucket.
    region: parsed.region ?? (parsed.endpoint === undefined ? undefined : 'us-east-1'),
    pathStyle: parsed.pathStyle ?? parsed.endpoint !== undefined,
  };
}
