import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { getDataset, listDatasets, prepareDataset } from '@luthier/contracts';
import type { DatasetRecord, Page, RequestDefinition } from '@luthier/contracts';
import { OnRequest } from '@luthier/messaging';
import { PreparationService } from './preparation.service.js';

type Asked<D> = D extends RequestDefinition<infer Req, z.ZodType> ? z.output<Req> : never;

@Controller()
export class PreparationRpc {
  constructor(private readonly service: PreparationService) {}

  @OnRequest(prepareDataset)
  prepare(request: Asked<typeof prepareDataset>): Promise<DatasetRecord> {
    return this.service.prepare(request);
  }

  @OnRequest(getDataset)
  get({ datasetId }: Asked<typeof getDataset>): Promise<DatasetRecord> {
    return this.service.get(datasetId);
  }

  @OnRequest(listDatasets)
  list(query: Asked<typeof listDatasets>): Promise<Page<DatasetRecord>> {
    return this.service.list(query);
  }
}
