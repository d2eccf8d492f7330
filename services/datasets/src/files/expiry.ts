import { AppError } from '@luthier/contracts';
import type { Logger } from '@luthier/service-kit';
import type { FileStore } from './file.store.js';
import type { FilesService } from './files.service.js';

/** Deletes files whose time has passed; one that a job still uses goes at the first look after that job. */
export class Expiry {
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;

  constructor(
    private readonly store: FileStore,
    private readonly files: FilesService,
    private readonly logger: Logger,
    private readonly lookEveryMs: number,
  ) {}

  start(): void {
    this.timer = setInterval(() => this.look(), this.lookEveryMs);
    this.look();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    await this.looking;
  }

  private look(): void {
    this.looking ??= this.deleteExpired()
      .catch((cause: unknown) => this.logger.error({ err: cause }, 'Expired files could not be deleted; tried again'))
      .finally(() => (this.looking = undefined));
  }

  private async deleteExpired(): Promise<void> {
    for (const fileId of await this.store.expired(new Date())) {
      if (!this.timer) return; // ending
      try {
        await this.files.delete(fileId);
        this.logger.info({ op: 'expire-file', ok: true, fileId });
      } catch (thrown) {
        const { code, retryable } = AppError.from(thrown);
        if (retryable) return; // training does not answer yet: at the next look
        if (code !== 'file.in-use' && code !== 'file.not-found') throw thrown;
      }
    }
  }
}
