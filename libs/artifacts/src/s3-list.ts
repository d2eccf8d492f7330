import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { s3Error } from './s3-error.js';

export interface ListedObject {
  key: string;
  sizeBytes: number;
  modifiedAt: Date;
}

interface Answer {
  objects: ListedObject[];
  /** With a delimiter: prefixes of what lies deeper, each ending with it. */
  folders: string[];
  /** Whether there is another answer to the same question. */
  more: boolean;
}

/** S3 gives no more keys at once. */
const MAX_KEYS = 1_000;

/** What a bucket holds below a prefix. */
export class ObjectList {
  constructor(
    private readonly client: S3Client,
    private readonly bucket: string,
    /** Keys of one answer. */
    private readonly maxKeys = MAX_KEYS,
  ) {}

  /** Answer by answer, in the order of the server. */
  async *answers(prefix: string, delimiter?: string): AsyncGenerator<Answer> {
    let token: string | undefined;
    do {
      const request = new ListObjectsV2Command({
        ...{ Bucket: this.bucket, Prefix: prefix, MaxKeys: this.maxKeys },
        ...(delimiter !== undefined && { Delimiter: delimiter }),
        ...(token !== undefined && { ContinuationToken: token }),
      });
      const answer = await this.client.send(request).catch((cause: unknown) => {
        throw s3Error(prefix, cause);
      });
      token = answer.IsTruncated === true ? answer.NextContinuationToken : undefined;
      yield {
        objects: (answer.Contents ?? []).map(({ Key = '', Size = 0, LastModified = new Date(0) }) => ({
          ...{ key: Key, sizeBytes: Size, modifiedAt: LastModified },
        })),
        folders: (answer.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix),
        more: token !== undefined,
      };
    } while (token !== undefined);
  }

  /**
   * By the bytes of the keys, those after one of them. Not every server lists so: some put `a/b` before `a-b`. What fits
   * into one answer is sorted here; what does not is walked folder by folder.
   */
  async *walk(prefix: string, after: string): AsyncGenerator<ListedObject> {
    if (after > prefix && !after.startsWith(prefix)) return;
    let entries: (ListedObject | string)[] = [];
    for await (const { objects, more } of this.answers(prefix)) {
      entries = more ? await this.level(prefix) : objects;
      break;
    }
    const keyOf = (entry: ListedObject | string): string => (typeof entry === 'string' ? entry : entry.key);
    for (const entry of entries.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
      if (typeof entry === 'string') yield* this.walk(entry, after);
      else if (entry.key > after) yield entry;
    }
  }

  /** The objects of one folder, and the prefixes of its folders. */
  private async level(prefix: string): Promise<(ListedObject | string)[]> {
    const entries: (ListedObject | string)[] = [];
    for await (const { objects, folders } of this.answers(prefix, '/')) entries.push(...objects, ...folders);
    return entries;
  }
}
