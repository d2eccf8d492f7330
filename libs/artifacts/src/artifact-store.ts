import type { Readable } from 'node:stream';
import { AppError } from '@luthier/contracts';

export interface StoredArtifact {
  readonly uri: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal, computed while the bytes passed. */
  readonly sha256: string;
}

export interface ArtifactStat {
  readonly uri: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

export interface PutOptions {
  /** Refused, and nothing stored, when the content has another one. */
  expectedSha256?: string;
  /** Refused, and nothing stored, when the content is longer. */
  maxSizeBytes?: number;
}

/** Both ends inclusive, from 0; without `end` to the last byte. */
export interface ByteRange {
  start: number;
  end?: number;
}

export interface PageRequest {
  /** The last URI of the page before. */
  after?: string;
  /** @default 1000 */
  limit?: number;
}

export interface ArtifactPage {
  readonly items: readonly ArtifactStat[];
  /** Pass it as `after` for the next page; absent at the end. */
  readonly next?: string;
}

export interface UrlOptions {
  /** From now; a transfer that has begun may last longer. */
  lifetimeSeconds: number;
  /** Of what will be written: where the store can tell, content of another size is refused. */
  sizeBytes?: number;
}

export type ArtifactContent = Readable | AsyncIterable<Uint8Array> | Uint8Array | string;

/**
 * Blobs under `artifact://<kind>/<id>/<path>`. An artifact is there complete or not at all, and is durable when `put`
 * returns. Every method throws AppError: `request.invalid` (URI), `disk.full`, `storage.unreachable`.
 */
export abstract class ArtifactStore {
  /**
   * Stores the content, replacing what was there.
   * @throws AppError `request.too-large` beyond `maxSizeBytes`, `data.bad` when `expectedSha256` does not match.
   */
  abstract put(uri: string, content: ArtifactContent, options?: PutOptions): Promise<StoredArtifact>;
  /** @throws AppError `storage.not-found` when there is nothing. */
  abstract get(uri: string, range?: ByteRange): Promise<Readable>;
  abstract stat(uri: string): Promise<ArtifactStat | undefined>;
  /** Everything below a prefix (whole path parts), in the order of the URIs' bytes. */
  abstract list(prefix: string, page?: PageRequest): Promise<ArtifactPage>;
  /** Removes everything below a prefix, or the one artifact of that name. Returns how many; none is no error. */
  abstract remove(prefix: string): Promise<number>;
  /**
   * Where somebody without credentials reads or writes this one artifact: `http(s)://` for a while, or the `file://` of
   * a store that has files on this machine. It is a secret, and no proof that anything is there.
   */
  abstract urlFor(uri: string, operation: 'read' | 'write', options: UrlOptions): Promise<string>;
}

/** Small artifacts as bytes. @throws as `get`, and AppError `request.too-large` beyond `maxSizeBytes` (default 16 MiB). */
export async function readArtifact(
  store: ArtifactStore,
  uri: string,
  maxSizeBytes = 16 * 1024 * 1024,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of await store.get(uri)) {
    sizeBytes += (chunk as Buffer).length;
    if (sizeBytes > maxSizeBytes) throw new AppError('request.too-large', `${uri} has more than ${maxSizeBytes} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
