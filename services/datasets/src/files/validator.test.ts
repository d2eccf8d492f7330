import { describe, expect, it } from '@jest/globals';
import type { FileRecord, ValidationReport } from '@luthier/contracts';
import { ServiceMetrics, createLogger } from '@luthier/service-kit';
import { waitFor } from '@luthier/testing';
import { FileStore } from './file.store.js';
import { Validator } from './validator.js';
import type { ValidateFile } from './validator.js';

const file: FileRecord = {
  id: 'file-aaaaaaaaaaaaaaaaaaaa',
  filename: 'rows.jsonl',
  purpose: 'fine-tune',
  sizeBytes: 1,
  sha256: 'a'.repeat(64),
  uri: 'artifact://files/file-aaaaaaaaaaaaaaaaaaaa/content',
  createdAt: '2026-01-01T00:00:00.000Z',
  expiresAt: null,
  status: 'uploaded',
  statusDetails: null,
};
const report: ValidationReport = {
  fileId: file.id,
  state: 'done',
  format: 'alpaca',
  rowKind: 'examples',
  rows: 1,
  usableRows: 1,
  errorCount: 0,
  warningCount: 0,
  issues: [],
  issueCounts: {},
  itemFields: [],
  characters: 1,
  finishedAt: null,
};

/** Remembers how validations ended. */
class Ends extends FileStore {
  readonly statuses: string[] = [];
  override async add(): Promise<never> {
    throw new Error('not asked for here');
  }
  override async find(): Promise<undefined> {
    return undefined;
  }
  override async list(): Promise<{ items: FileRecord[]; hasMore: boolean }> {
    return { items: [file], hasMore: false };
  }
  override async unvalidated(): Promise<FileRecord[]> {
    return this.statuses.length > 0 ? [] : [file];
  }
  override async expired(): Promise<string[]> {
    return [];
  }
  override async finish(_fileId: string, status: 'processed' | 'error'): Promise<void> {
    this.statuses.push(status);
  }
  override async remove(): Promise<void> {
    this.statuses.length = 0;
  }
}

const logger = createLogger({ service: 'datasets', level: 'silent' });
const validatorWith = (ends: Ends, validate: ValidateFile): Validator =>
  new Validator(ends, validate, logger, new ServiceMetrics('datasets'));

describe('validation in the background', () => {
  it('starts a thread that died again', async () => {
    const ends = new Ends();
    let tries = 0;
    const validator = validatorWith(ends, async () => {
      tries += 1;
      if (tries === 1) throw new Error('the thread was killed');
      return report;
    });
    await validator.start();
    await waitFor(() => ends.statuses.length > 0);
    expect({ tries, statuses: ends.statuses }).toEqual({ tries: 2, statuses: ['processed'] });
    await validator.stop();
  });

  it('gives a file that kills its thread every time an error instead of trying for ever', async () => {
    const ends = new Ends();
    const validator = validatorWith(ends, async () => {
      throw new Error('out of memory');
    });
    await validator.start();
    await waitFor(() => ends.statuses.length > 0);
    expect(ends.statuses).toEqual(['error']);
    await validator.stop();
  });

  it('leaves a file that a stop interrupted unvalidated', async () => {
    const ends = new Ends();
    const validator = validatorWith(
      ends,
      (_file, signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    );
    await validator.start();
    await validator.stop();
    expect(ends.statuses).toEqual([]);
  });
});
