import { createHash } from 'node:crypto';
import { AppError } from '@luthier/contracts';
import type { ArtifactContent, PutOptions } from './artifact-store.js';

/** Content on its way into a store: counted and hashed as it passes, and refused before its end is given on. */
export class MeasuredContent {
  sizeBytes = 0;
  /** Of the whole, once it has passed. */
  sha256 = '';
  /** What the content itself ended with, or was refused for: no fault of the store. */
  fault: Error | undefined;

  constructor(
    private readonly content: ArtifactContent,
    private readonly options: PutOptions,
  ) {}

  async *chunks(): AsyncGenerator<Uint8Array> {
    const { maxSizeBytes, expectedSha256 } = this.options;
    const hash = createHash('sha256');
    try {
      for await (const chunk of bytesOf(this.content)) {
        this.sizeBytes += chunk.length;
        if (maxSizeBytes !== undefined && this.sizeBytes > maxSizeBytes) {
          throw new AppError('request.too-large', `The content is larger than ${maxSizeBytes} bytes`);
        }
        hash.update(chunk);
        yield chunk;
      }
      this.sha256 = hash.digest('hex');
      if (expectedSha256 !== undefined && this.sha256 !== expectedSha256) {
        throw new AppError('data.bad', `The content has SHA-256 ${this.sha256}, expected ${expectedSha256}`);
      }
    } catch (cause) {
      this.fault = cause instanceof Error ? cause : new Error(String(cause));
      throw cause;
    }
  }
}

async function* bytesOf(content: ArtifactContent): AsyncGenerator<Uint8Array> {
  if (typeof content === 'string') yield Buffer.from(content);
  else if (content instanceof Uint8Array) yield content;
  else for await (const chunk of content) yield typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array);
}
