import { AppError, idTail, modelDeleted, modelRegistered, newId } from '@luthier/contracts';
import type { ModelRecord, Page, RequestOf, registerModel } from '@luthier/contracts';
import { artifactUri } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { CATALOGUE } from '../catalogue/catalogue.js';
import type { Importer } from '../import/importer.js';
import { copyModelFolder } from './model-folder.js';
import type { ModelStore } from './model.store.js';

/** Names lead into paths and URLs of users: no separator, no leading dot. */
const BASE_NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/i;

const empty = {
  createdAt: '',
  license: null,
  languages: [],
  shape: null,
  weights: null,
  adapter: null,
  baseModelId: null,
  jobId: null,
  source: null,
  sourcesTried: [],
  proof: 'unproven' as const,
  proofReason: null,
  error: null,
};

/** Base models, tuned models and what may be done with them. */
export class ModelsService {
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
    return { model, base: model.baseModelId === null ? null : await this.get(model.baseModelId) };
  }

  list(query: Parameters<ModelStore['list']>[0]): Promise<Page<ModelRecord>> {
    return this.store.list(query);
  }

  /** Idempotent by job: the model's id is made from the job's. The adapter is copied, so that runs may be deleted. */
  async register(request: RequestOf<typeof registerModel>): Promise<ModelRecord> {
    const known = await this.store.findByJob(request.jobId);
    if (known) return known;
    const base = await this.get(request.baseModelId);
    const tail = idTail(request.jobId);
    const id = `model-${tail}`;
    const adapter = await copyModelFolder(this.artifacts, request.adapter, artifactUri('models', id, 'adapter'));
    for (const ending of [tail.slice(-8), tail]) {
      const name = `ft:${base.name}:luthier:${request.suffix ?? ''}:${ending}`;
      const record: ModelRecord = {
        ...empty,
        id,
        name,
        kind: 'tuned',
        state: 'ready',
        createdAt: new Date().toISOString(),
        title: request.suffix ? `${base.title}, ${request.suffix}` : `${base.title}, tuned`,
        license: base.license,
        languages: base.languages,
        shape: base.shape,
        adapter,
        baseModelId: base.id,
        jobId: request.jobId,
      };
      const payload = { modelId: id, name, jobId: request.jobId };
      await this.store.add({ record, localDir: null }, { definition: modelRegistered, payload });
      const stored = await this.store.findByJob(request.jobId);
      if (stored) return stored; // ours, or that of a request at the same time
    }
    throw new AppError('internal', `No name is free for the model of ${request.jobId}`);
  }

  /** @throws AppError `model.in-use` for a base that tuned models need or that is being imported. */
  async delete(idOrName: string): Promise<{ modelId: string }> {
    const model = await this.get(idOrName);
    if (model.state === 'importing') throw new AppError('model.in-use', `${model.name} is being imported`);
    const tuned = await this.store.namesOfTuned(model.id);
    if (tuned.length > 0) throw new AppError('model.in-use', `${model.name} is the base of ${tuned.join(', ')}`);
    await this.store.remove(model.id, { definition: modelDeleted, payload: { modelId: model.id } });
    await this.artifacts.remove(artifactUri('models', model.id));
    return { modelId: model.id };
  }
}
