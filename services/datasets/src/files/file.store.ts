import type { FileRecord, Page, ValidationReport } from '@luthier/contracts';

export type NewFile = Omit<FileRecord, 'status' | 'statusDetails'>;

export interface StoredFile {
  readonly record: FileRecord;
  /** Null until the validation has ended. */
  readonly report: ValidationReport | null;
}

/** The table of uploaded files. */
export abstract class FileStore {
  /** Keeps what is there when the id is known already. */
  abstract add(file: NewFile, status: FileRecord['status']): Promise<StoredFile>;
  abstract find(fileId: string): Promise<StoredFile | undefined>;
  abstract list(query: {
    after?: string | undefined;
    limit: number;
    order: 'asc' | 'desc';
    purpose?: FileRecord['purpose'] | undefined;
  }): Promise<Page<FileRecord>>;
  /** Files whose validation has not ended, oldest first. */
  abstract unvalidated(): Promise<FileRecord[]>;
  /** Ids of files that were to be kept until before `now`, longest past first. */
  abstract expired(now: Date): Promise<string[]>;
  /** Stores the report of a file that waits for it and announces it. */
  abstract finish(
    fileId: string,
    status: 'processed' | 'error',
    details: string | null,
    report: ValidationReport,
  ): Promise<void>;
  abstract remove(fileId: string): Promise<void>;
}
