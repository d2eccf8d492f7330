import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { endProcess, findSeaweed, identityOf, startS3 as launch } from '@luthier/local-servers';
import type { S3Process } from '@luthier/local-servers';
import { runsHere } from './requirement.js';
import { steadyPort } from './steady-port.js';

const accessKeyId = 'luthier-test';
const secretAccessKey = 'luthier-test-secret';

export interface TestS3 {
  readonly endpoint: string;
  readonly port: number;
  /** Where programs look for credentials. */
  readonly environment: { readonly AWS_ACCESS_KEY_ID: string; readonly AWS_SECRET_ACCESS_KEY: string };
  /** A new, empty bucket, as a setting names it: `s3://bucket?endpoint=…`. */
  createBucket(): Promise<string>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same objects. */
  restart(): Promise<void>;
  /** Ends the server, removes its files. */
  stop(): Promise<void>;
}

/** True where an S3 server can be had. Where not, tests are skipped with a word, or fail if everything is required. */
export async function canRunS3(): Promise<boolean> {
  const missing = await findSeaweed({ log: (message) => console.log(message) }).then(
    () => undefined,
    (cause: unknown) => `an S3 server (${String(cause)})`,
  );
  return runsHere('tests against a real S3 server', missing);
}

/** A real S3 server of one's own, ready in about 2 s; ends with this process whatever happens to it. */
export async function startS3(): Promise<TestS3> {
  const dir = await mkdtemp(join(tmpdir(), 'luthier-s3-'));
  await chmod(dir, 0o700);
  const start = (at: number): Promise<S3Process> =>
    launch({ dir, accessKeyId, secretAccessKey, port: at, ephemeral: true });
  let server = await start(await steadyPort());
  const { endpoint, port } = server;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
  let buckets = 0;
  return {
    endpoint,
    port,
    environment: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    createBucket: async () => {
      const name = `bucket-${++buckets}`;
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return `s3://${name}?endpoint=${encodeURIComponent(endpoint)}`;
    },
    kill: async () => {
      const identity = await identityOf(server.pid);
      if (identity) await endProcess(identity, 'SIGKILL', 0);
    },
    restart: async () => {
      server = await start(port);
      if (server.port !== port) throw new Error(`port ${port} was taken by somebody else`);
    },
    stop: async () => {
      client.destroy();
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
