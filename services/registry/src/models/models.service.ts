import { setTimeout as pause } from 'node:timers/promises';
import { AppError, idTail, modelDeleted, modelRegistered, newId } from '@luthier/contracts';
import type { ModelFiles, ModelRecord, Page, RequestOf, registerModel } from '@luthier/contracts';
import { artifactUri } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { CATALOGUE } from '../catalogue/catalogue.js';
import type { Importer } from '../import/importer.js';
import type { ModelStore } from './model.store.js';
import { copyTunedFiles } from './tuned-files.js';

/** Names lead into paths and URLs of users: no separator, no leading dot. */
const BASE_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/i;

const empty = {
  createdAt: '',
  license: null,
  languages: [],
  shape: null,
  files: null,
  sizeBytes: null,
  gives: 'answers' as const,
  baseModelId: null,
  jobId: null,
  source: null,
  sourcesTried: [],
  proof: 'unproven' as const,
  proofReason: null,
  error: null,
};

/** Well within the time-out of the request. */
const REGISTRATION_ANSWER_MS = 5_000;

/** Of the base that a model came from in the end, whose name a tuned one begins with. */
const rootName = ({ kind, name }: ModelRecord): string => (kind === 'tuned' ? (name.split(':')[1] ?? name) : name);

/** A tuned model before its files are there. Its id is made from the job's; its name lacks the ending yet. */
const tunedDraft = ({ jobId, suffix, gives }: RequestOf<typeof registerModel>, base: ModelRecord): ModelRecord => ({
  ...empty,
  ...(gives && { gives }),
  id: `model-${idTail(jobId)}`,
  name: `ft:${rootName(base)}:luthier:${suffix ?? ''}:`,
  kind: 'tuned',
  state: 'importing',
  createdAt: new Date().toISOString(),
  title: suffix || base.kind === 'base' ? `${base.title}, ${suffix ?? 'tuned'}` : base.title,
  license: base.license,
  languages: base.languages,
  shape: base.shape,
  baseModelId: base.id,
  jobId,
});

/** Base models, tuned models and what may be done with them. */
export class ModelsService {
  /** Under way, by the id of the model. */
  private readonly registrations = new Map<string, Promise<ModelRecord>>();

  constructor(
    private readonly store: ModelStore,
    private readonly artifacts: ArtifactStore,
    private readonly importer: Importer,
  ) {}

  /** Starts or joins an import; a failed one is tried again. */
  async import(name: string, localDir: string | undefined): Promise<ModelRecord> {
    const known = await this.store.find(name);
    if (known?.kind === 'tuned' || (known && known.state === 'ready')) return known;
    const folder = localDir ?? null;
    if (!known && (!BASE_NAME.test(name) || this.importer.sourcesOf(name, folder).length === 0)) {
      throw new AppError('model.not-found', `${JSON.stringify(name.slice(0, 100))} is not in the catalogue`, {
        param: 'model',
        hint: `Import one of ${CATALOGUE.map((entry) => entry.name).join(', ')}, or name a local folder.`,
      });
    }
    if (known?.state === 'failed') {
      await this.store.change(known.id, 'failed', {
        state: 'importing',
        error: null,
        sourcesTried: [],
        ...(folder !== null && { localDir: folder }),
      });
    }
    if (!known) await this.store.add({ record: this.draft(name), localDir: folder });
    const model = await this.get(name);
    if (model.state !== 'importing') return model;
    const wanted = (await this.store.importing()).find(({ id }) => id === model.id);
    if (wanted) this.importer.enqueue(wanted);
    return model;
  }

  private draft(name: string): ModelRecord {
    const entry = CATALOGUE.find((candidate) => candidate.name === name);
    return {
      ...empty,
      id: newId('model'),
      name,
      kind: 'base',
      state: 'importing',
      createdAt: new Date().toISOString(),
      title: entry?.title ?? name,
      license: entry?.license ?? null,
      languages: [...(entry?.languages ?? [])],
    };
  }

  /** @throws AppError `model.not-found`, also for an unknown tuned name: never its base instead. */
  async get(idOrName: string): Promise<ModelRecord> {
    const model = await this.store.find(idOrName);
    if (!model) {
      throw new AppError('model.not-found', `The model ${JSON.stringify(idOrName.slice(0, 200))} does not exist`, {
        param: 'model',
      });
    }
    return model;
  }

  async getWithBase(idOrName: string): Promise<{ model: ModelRecord; base: ModelRecord | null }> {
    const model = await this.get(idOrName);
    if (model.baseModelId === null) return { model, base: null };
    // A whole model answers without its base, which may be gone; an adapter does not.
    if (model.files?.form === 'whole') return { model, base: (await this.store.find(model.baseModelId)) ?? null };
    return { model, base: await this.get(model.baseModelId) };
  }

  list(query: Parameters<ModelStore['list']>[0]): Promise<Page<ModelRecord>> {
    return this.store.list(query);
  }

  /** Idempotent by job. What takes longer than an answer may goes on, and the next request joins it. */
  async register(request: RequestOf<typeof registerModel>): Promise<ModelRecord> {
    const known = await this.store.findByJob(request.jobId);
    if (known) return known;
    const draft = tunedDraft(request, await this.get(request.baseModelId));
    const done = this.registrations.get(draft.id) ?? this.beginRegistration(draft, request.files);
    const waiting = new AbortController();
    try {
      return await Promise.race([done, pause(REGISTRATION_ANSWER_MS, draft, { signal: waiting.signal })]);
    } finally {
      waiting.abort();
    }
  }

  private beginRegistration(draft: ModelRecord, made: ModelFiles): Promise<ModelRecord> {
    const done = this.addTuned(draft, made).finally(() => this.registrations.delete(draft.id));
    done.catch(() => undefined); // told to whoever waits for it, or asks again
    this.registrations.set(draft.id, done);
    return done;
  }

  private async addTuned(draft: ModelRecord, made: ModelFiles): Promise<ModelRecord> {
    const { id, shape, jobId } = draft;
    const { files, sizeBytes, weightBytes } = await copyTunedFiles(this.artifacts, id, made);
    const ready: ModelRecord = {
      ...draft,
      ...{ state: 'ready', files, sizeBytes },
      shape: shape && weightBytes !== null ? { ...shape, weightBytes } : shape,
    };
    const tail = idTail(id);
    for (const ending of [tail.slice(-8), tail]) {
      const name = `${draft.name}${ending}`;
      const payload = { modelId: id, name, jobId: jobId ?? '' };
      await this.store.add({ record: { ...ready, name }, localDir: null }, { definition: modelRegistered, payload });
      const stored = await this.store.find(id);
      if (stored) return stored; // ours, or that of a request at the same time
    }
    throw new AppError('internal', `No name is free for the model of ${jobId}`);
  }

  /** @throws AppError `model.in-use` for a base that adapters need or that is being imported. */
  async delete(idOrName: string): Promise<{ modelId: string }> {
    const model = await this.get(idOrName);
    if (model.state === 'importing') throw new AppError('model.in-use', `${model.name} is being imported`);
    const adapters = await this.store.namesOfAdapters(model.id);
    if (adapters.length > 0) throw new AppError('model.in-use', `${model.name} is the base of ${adapters.join(', ')}`);
    await this.store.remove(model.id, { definition: modelDeleted, payload: { modelId: model.id } });
    await this.artifacts.remove(artifactUri('models', model.id));
    return { modelId: model.id };
  }
}
