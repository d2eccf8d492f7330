import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { AppError } from '@luthier/contracts';
import { ArtifactStore } from './artifact-store.js';
import type {
  ArtifactContent,
  ArtifactPage,
  ArtifactStat,
  ByteRange,
  PageRequest,
  PutOptions,
  StoredArtifact,
  UrlOptions,
} from './artifact-store.js';
import { SCHEME, partsOf, prefixPartsOf, uriOfParts, uriOfPath } from './artifact-uri.js';
import { MeasuredContent } from './content.js';
import { isAbsent, s3Error } from './s3-error.js';
import { ObjectList } from './s3-list.js';
import { ObjectRead } from './s3-read.js';
import type { S3Settings } from './s3-settings.js';

const CONNECT_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 3;
/** With 10 000 parts at most: artifacts up to 78 GiB. A put holds about five parts in memory. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 3;

const clientOf = (settings: S3Settings, endpoint: string | undefined): S3Client =>
  new S3Client({
    ...(settings.region !== undefined && { region: settings.region }),
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: settings.pathStyle,
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: IDLE_TIMEOUT_MS },
    // Not every server knows the newer checksums, and a signed URL would carry that of an empty body.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });

/** Artifacts as objects of a bucket; keys are the URIs' paths below a prefix, so a person can find them. */
export class S3ArtifactStore extends ArtifactStore {
  private readonly client: S3Client;
  private readonly signer: S3Client;
  private readonly root: string;

  private readonly objects: ObjectList;

  /** @param maxKeys of one list; S3 gives 1000. */
  constructor(
    private readonly settings: S3Settings,
    maxKeys?: number,
  ) {
    super();
    this.root = settings.prefix === '' ? '' : `${settings.prefix}/`;
    this.client = clientOf(settings, settings.endpoint);
    this.objects = new ObjectList(this.client, settings.bucket, maxKeys);
    const { publicEndpoint } = settings;
    this.signer = publicEndpoint === undefined ? this.client : clientOf(settings, publicEndpoint);
  }

  async put(uri: string, content: ArtifactContent, options: PutOptions = {}): Promise<StoredArtifact> {
    const object = this.objectOf(partsOf(uri));
    const measured = new MeasuredContent(content, options);
    const Body = Readable.from(measured.chunks());
    try {
      // Small content in one request, longer content in parts that become an object when the last one is there.
      const params = { ...object, Body };
      const upload = new Upload({ client: this.client, params, partSize: PART_BYTES, queueSize: PARTS_AT_ONCE });
      await upload.done();
    } catch (cause) {
      throw measured.fault ?? s3Error(uri, cause);
    } finally {
      Body.destroy();
    }
    const { sizeBytes, sha256 } = measured;
    return { uri, sizeBytes, sha256 };
  }

  async get(uri: string, range?: ByteRange): Promise<Readable> {
    const object = this.objectOf(partsOf(uri));
    const read = await ObjectRead.begin(this.client, object, range).catch((cause: unknown) => {
      throw s3Error(uri, cause);
    });
    return Readable.from(explained(uri, read.chunks()), { objectMode: false });
  }

  async stat(uri: string): Promise<ArtifactStat | undefined> {
    try {
      const found = await this.client.send(new HeadObjectCommand(this.objectOf(partsOf(uri))));
      return { uri, sizeBytes: found.ContentLength ?? 0, modifiedAt: found.LastModified ?? new Date(0) };
    } catch (cause) {
      if (isAbsent(cause)) return undefined;
      throw s3Error(uri, cause);
    }
  }

  async list(prefix: string, page: PageRequest = {}): Promise<ArtifactPage> {
    const limit = Math.max(1, Math.min(page.limit ?? 1_000, 10_000));
    const items: ArtifactStat[] = [];
    for await (const item of this.walk(prefixPartsOf(prefix), page.after)) {
      if (items.length === limit) return { items, next: items.at(-1)?.uri ?? '' };
      items.push(item);
    }
    return { items };
  }

  async remove(prefix: string): Promise<number> {
    const parts = prefixPartsOf(prefix);
    const { Key } = this.objectOf(parts);
    let count = 0;
    if (parts.length > 1 && (await this.stat(uriOfParts(parts))) !== undefined)
      count += await this.delete(prefix, [Key]);
    for await (const { objects } of this.objects.answers(`${Key}/`)) {
      const keys = objects.map(({ key }) => key);
      if (keys.length > 0) count += await this.delete(prefix, keys);
    }
    return count;
  }

  async urlFor(uri: string, operation: 'read' | 'write', options: UrlOptions): Promise<string> {
    const object = this.objectOf(partsOf(uri));
    const { lifetimeSeconds: expiresIn, sizeBytes: ContentLength } = options;
    try {
      if (operation === 'read') return await getSignedUrl(this.signer, new GetObjectCommand(object), { expiresIn });
      // A length that is signed is the only one that the store takes.
      const put = new PutObjectCommand({ ...object, ...(ContentLength !== undefined && { ContentLength }) });
      return await getSignedUrl(this.signer, put, { expiresIn });
    } catch (cause) {
      throw s3Error(uri, cause);
    }
  }

  private objectOf(parts: readonly string[]): { Bucket: string; Key: string } {
    return { Bucket: this.settings.bucket, Key: this.root + parts.join('/') };
  }

  /** The artifact of this name, then everything below it. */
  private async *walk(parts: string[], after = ''): AsyncGenerator<ArtifactStat> {
    const own = parts.length > 1 ? await this.stat(uriOfParts(parts)) : undefined;
    if (own && own.uri > after) yield own;
    const afterKey = this.root + after.slice(SCHEME.length);
    for await (const { key, ...found } of this.objects.walk(`${this.objectOf(parts).Key}/`, afterKey)) {
      const uri = uriOfPath(key.slice(this.root.length)); // what else lies in the bucket is not ours
      if (uri !== undefined) yield { uri, ...found };
    }
  }

  private async delete(prefix: string, keys: readonly string[]): Promise<number> {
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
    const { Errors = [] } = await this.client
      .send(new DeleteObjectsCommand({ Bucket: this.settings.bucket, Delete }))
      .catch((cause: unknown) => {
        throw s3Error(prefix, cause);
      });
    const [first] = Errors;
    if (!first) return keys.length;
    const said = `${first.Code ?? ''} ${first.Message ?? ''}`.trim();
    throw new AppError('storage.unreachable', `The storage keeps ${Errors.length} of ${prefix} (${said})`);
  }
}

async function* explained(uri: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (cause) {
    throw s3Error(uri, cause);
  }
}
