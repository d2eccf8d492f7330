import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import type { ByteRange } from './artifact-store.js';

/** Answers in a row that break off without a byte. */
const MAX_BROKEN = 3;

interface Answer {
  body: Readable;
  etag: string | undefined;
}

/**
 * The bytes of one object. An answer that breaks off (a connection is lost, or was idle for too long because its reader
 * is slow) is taken up again where it ended, as long as the object is still the same.
 */
export class ObjectRead {
  private offset: number;
  private first: Answer | undefined;

  private constructor(
    private readonly client: S3Client,
    private readonly object: { Bucket: string; Key: string },
    private readonly range: ByteRange,
  ) {
    this.offset = range.start;
  }

  /** @throws what the first answer was, when it is no content. */
  static async begin(
    client: S3Client,
    object: { Bucket: string; Key: string },
    range: ByteRange = { start: 0 },
  ): Promise<ObjectRead> {
    const read = new ObjectRead(client, object, range);
    read.first = await read.ask();
    return read;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    let answer = this.first ?? (await this.ask());
    for (let broken = 0; ;) {
      try {
        for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
          this.offset += chunk.length;
          broken = 0;
          yield chunk;
        }
        return;
      } catch (cause) {
        if (++broken > MAX_BROKEN) throw cause;
      } finally {
        answer.body.destroy(); // also when the reader has had enough
      }
      answer = await this.ask(answer.etag);
    }
  }

  private async ask(etag?: string): Promise<Answer> {
    const { end } = this.range;
    const whole = this.offset === 0 && end === undefined;
    const request = new GetObjectCommand({
      ...this.object,
      ...(!whole && { Range: `bytes=${this.offset}-${end ?? ''}` }),
      ...(etag !== undefined && { IfMatch: etag }),
    });
    try {
      const { Body, ETag } = await this.client.send(request);
      return { body: Body as Readable, etag: ETag };
    } catch (cause) {
      // Nothing is left there: it broke off at its very end, or the range begins behind it.
      if (cause instanceof Error && cause.name === 'InvalidRange') return { body: Readable.from([]), etag };
      throw cause;
    }
  }
}
