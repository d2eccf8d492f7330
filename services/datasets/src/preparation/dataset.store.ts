import type { DatasetRecord, Page } from '@luthier/contracts';
import type { PreparationOrder } from './preparation-order.js';
import type { PreparedFields } from './prepare-dataset.js';

export interface Unprepared {
  readonly id: string;
  readonly order: PreparationOrder;
}

/** The table of prepared datasets. */
export abstract class DatasetStore {
  /** The record of this cache key and role; a new one, or a failed one to be tried again, is `preparing`. */
  abstract open(cacheKey: string, role: DatasetRecord['role'], order: PreparationOrder): Promise<DatasetRecord>;
  abstract find(datasetId: string): Promise<DatasetRecord | undefined>;
  abstract list(query: {
    after?: string | undefined;
    limit: number;
    order: 'asc' | 'desc';
  }): Promise<Page<DatasetRecord>>;
  abstract unprepared(): Promise<Unprepared[]>;
  abstract complete(datasetId: string, fields: PreparedFields): Promise<void>;
  abstract refuse(datasetId: string, error: NonNullable<DatasetRecord['error']>): Promise<void>;
  abstract preparedFrom(fileId: string): Promise<Pick<DatasetRecord, 'id' | 'state'>[]>;
  abstract remove(datasetId: string): Promise<void>;
}
