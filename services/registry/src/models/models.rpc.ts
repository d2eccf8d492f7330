import { Controller } from '@nestjs/common';
import {
  deleteModel,
  exportModel,
  getModel,
  importModel,
  listCatalog,
  listModels,
  registerModel,
} from '@luthier/contracts';
import type { ModelRecord, Page, RequestDefinition, ResponseOf } from '@luthier/contracts';
import { OnRequest } from '@luthier/messaging';
import type { z } from 'zod';
import { CATALOGUE, describeSource } from '../catalogue/catalogue.js';
import { ExportsService } from '../exports/exports.service.js';
import type { ExportAnswer } from '../exports/exports.service.js';
import { ModelsService } from './models.service.js';

type Asked<D> = D extends RequestDefinition<infer Req, z.ZodType> ? z.output<Req> : never;

@Controller()
export class ModelsRpc {
  constructor(
    private readonly service: ModelsService,
    private readonly exports: ExportsService,
  ) {}

  @OnRequest(importModel)
  import({ model, localDir }: Asked<typeof importModel>): Promise<ModelRecord> {
    return this.service.import(model, localDir);
  }

  @OnRequest(getModel)
  get({ model }: Asked<typeof getModel>): Promise<ResponseOf<typeof getModel>> {
    return this.service.getWithBase(model);
  }

  @OnRequest(listModels)
  list(query: Asked<typeof listModels>): Promise<Page<ModelRecord>> {
    return this.service.list(query);
  }

  @OnRequest(listCatalog)
  catalogue(): ResponseOf<typeof listCatalog> {
    return {
      entries: CATALOGUE.map(({ sources, languages, ...entry }) => ({
        ...entry,
        languages: [...languages],
        sources: sources.map(describeSource),
      })),
    };
  }

  @OnRequest(registerModel)
  register(request: Asked<typeof registerModel>): Promise<ModelRecord> {
    return this.service.register(request);
  }

  @OnRequest(exportModel)
  export({ model, format }: Asked<typeof exportModel>): Promise<ExportAnswer> {
    return this.exports.export(model, format);
  }

  @OnRequest(deleteModel)
  delete({ model }: Asked<typeof deleteModel>): Promise<{ modelId: string }> {
    return this.service.delete(model);
  }
}
