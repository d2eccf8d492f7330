import type { EventDefinition, EventOf, ModelRecord, Page } from '@luthier/contracts';

export interface NewModel {
  readonly record: ModelRecord;
  readonly localDir: string | null;
}

/** An event to announce in the transaction of a change. */
export interface Announcement<D extends EventDefinition = EventDefinition> {
  readonly definition: D;
  readonly payload: EventOf<D>;
}

/** The registry's table of models. */
export abstract class ModelStore {
  /** By id or name. */
  abstract find(idOrName: string): Promise<ModelRecord | undefined>;
  abstract findByJob(jobId: string): Promise<ModelRecord | undefined>;
  /** Adds it unless id, name or job are taken; returns whether it was added. */
  abstract add(model: NewModel, announcement?: Announcement): Promise<boolean>;
  /** Changes a model that is in state `from`; announces in the same transaction. Returns false when it is not. */
  abstract change(
    id: string,
    from: ModelRecord['state'],
    fields: Partial<Omit<ModelRecord, 'id' | 'name' | 'createdAt'>> & { localDir?: string | null },
    announcement?: Announcement,
  ): Promise<boolean>;
  /** Once per event: the proof of a model. */
  abstract setProof(eventId: string, modelId: string, proof: ModelRecord['proof'], reason: string): Promise<void>;
  /** Once per event: why a model is unproven. What an evaluation has said of it stands. */
  abstract explainUnproven(eventId: string, modelId: string, reason: string): Promise<void>;
  /** Removes the row and announces it. */
  abstract remove(id: string, announcement: Announcement): Promise<void>;
  /** Adapters that are nothing without this model. */
  abstract namesOfAdapters(baseModelId: string): Promise<string[]>;
  abstract importing(): Promise<{ id: string; name: string; localDir: string | null }[]>;
  abstract list(query: {
    after?: string | undefined;
    limit: number;
    order: 'asc' | 'desc';
    kind?: ModelRecord['kind'] | undefined;
  }): Promise<Page<ModelRecord>>;
}
