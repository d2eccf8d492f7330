import { AppError, listFileUsers } from '@luthier/contracts';
import type { FileRecord, Page, readRows, ResponseOf, ValidationReport } from '@luthier/contracts';
import type { ArtifactStore } from '@luthier/artifacts';
import { isFormatError } from '@luthier/formats';
import type { MessageBus } from '@luthier/messaging';
import type { DatasetStore } from '../preparation/dataset.store.js';
import type { FileStore, NewFile, StoredFile } from './file.store.js';
import { pageOfRows } from './page-of-rows.js';
import type { Validator } from './validator.js';

/** Uploaded files: their records, reports and rows. */
export class FilesService {
  constructor(
    private readonly store: FileStore,
    private readonly datasets: DatasetStore,
    private readonly artifacts: ArtifactStore,
    private readonly validator: Validator,
    private readonly bus: MessageBus,
  ) {}

  /** Idempotent by id. Results of our own jobs are not training data and are not looked at. */
  async add(file: NewFile): Promise<FileRecord> {
    const { record } = await this.store.add(file, file.purpose === 'fine-tune-results' ? 'processed' : 'uploaded');
    if (record.status === 'uploaded') this.validator.enqueue(record);
    return record;
  }

  private async find(fileId: string): Promise<StoredFile> {
    const file = await this.store.find(fileId);
    if (!file)
      throw new AppError('file.not-found', `There is no file ${JSON.stringify(fileId.slice(0, 100))}`, {
        param: 'file_id',
      });
    return file;
  }

  async get(fileId: string): Promise<FileRecord> {
    return (await this.find(fileId)).record;
  }

  list(query: Parameters<FileStore['list']>[0]): Promise<Page<FileRecord>> {
    return this.store.list(query);
  }

  async validation(fileId: string): Promise<ValidationReport> {
    const { report, record } = await this.find(fileId);
    return (
      report ?? {
        fileId,
        state: record.status === 'uploaded' ? 'validating' : 'done',
        format: null,
        rowKind: null,
        rows: 0,
        usableRows: 0,
        errorCount: 0,
        warningCount: 0,
        issues: [],
        issueCounts: {},
        itemFields: [],
        characters: 0,
        finishedAt: null,
      }
    );
  }

  /** Usable rows from `offset` on, at most `limit`; `total` is 0 as long as the file is being validated. */
  async rows(fileId: string, offset: number, limit: number): Promise<ResponseOf<typeof readRows>> {
    const { record, report } = await this.find(fileId);
    if (record.status === 'error')
      throw new AppError('file.unusable', record.statusDetails ?? undefined, { param: 'file_id' });
    const content = await this.artifacts.get(record.uri);
    try {
      return { ...(await pageOfRows(content, offset, limit)), total: report?.usableRows ?? 0 };
    } catch (thrown) {
      if (isFormatError(thrown)) throw new AppError('file.unusable', thrown.message, { cause: thrown });
      throw thrown;
    } finally {
      content.destroy();
    }
  }

  /**
   * Deletes the file and every dataset that was prepared from it.
   * @throws AppError `file.in-use` while an unfinished job or a preparation reads it; `service.unavailable` when training
   * cannot say whether a job does.
   */
  async delete(fileId: string): Promise<{ fileId: string }> {
    const { record } = await this.find(fileId);
    const derived = await this.datasets.preparedFrom(fileId);
    await this.refuseWhileUsed(
      fileId,
      derived.map(({ id }) => id),
    );
    const busy = derived.filter(({ state }) => state === 'preparing').map(({ id }) => id);
    if (busy.length > 0) {
      throw new AppError('file.in-use', `The file is being prepared for ${busy.join(', ')}`, {
        param: 'file_id',
        hint: 'Wait until the preparation has ended, then delete the file again.',
      });
    }
    for (const { id } of derived) {
      await this.datasets.remove(id);
      await this.artifacts.remove(`artifact://datasets/${id}`);
    }
    await this.store.remove(fileId);
    await this.artifacts.remove(record.uri);
    return { fileId };
  }

  private async refuseWhileUsed(fileId: string, datasetIds: string[]): Promise<void> {
    const { jobIds, hasMore } = await this.usersOf(fileId, datasetIds);
    if (jobIds.length === 0) return;
    const names = `${jobIds.join(', ')}${hasMore ? ' and others' : ''}`;
    throw new AppError('file.in-use', `The file is used by ${jobIds.length === 1 ? 'the job' : 'the jobs'} ${names}`, {
      param: 'file_id',
    });
  }

  private async usersOf(fileId: string, datasetIds: string[]): Promise<ResponseOf<typeof listFileUsers>> {
    try {
      return await this.bus.request(listFileUsers, { fileId, datasetIds });
    } catch (cause) {
      throw new AppError(
        'service.unavailable',
        'Nothing was deleted: training did not answer whether a job uses the file',
        { cause },
      );
    }
  }
}
