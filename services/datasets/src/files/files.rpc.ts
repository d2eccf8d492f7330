import { Controller } from '@nestjs/common';
import type { z } from 'zod';
import { addFile, deleteFile, getFile, getValidation, listFiles, readRows } from '@luthier/contracts';
import type { FileRecord, Page, RequestDefinition, ResponseOf, ValidationReport } from '@luthier/contracts';
import { OnRequest } from '@luthier/messaging';
import { FilesService } from './files.service.js';

type Asked<D> = D extends RequestDefinition<infer Req, z.ZodType> ? z.output<Req> : never;

@Controller()
export class FilesRpc {
  constructor(private readonly service: FilesService) {}

  @OnRequest(addFile)
  add(file: Asked<typeof addFile>): Promise<FileRecord> {
    return this.service.add(file);
  }

  @OnRequest(getFile)
  get({ fileId }: Asked<typeof getFile>): Promise<FileRecord> {
    return this.service.get(fileId);
  }

  @OnRequest(listFiles)
  list(query: Asked<typeof listFiles>): Promise<Page<FileRecord>> {
    return this.service.list(query);
  }

  @OnRequest(deleteFile)
  delete({ fileId }: Asked<typeof deleteFile>): Promise<{ fileId: string }> {
    return this.service.delete(fileId);
  }

  @OnRequest(getValidation)
  validation({ fileId }: Asked<typeof getValidation>): Promise<ValidationReport> {
    return this.service.validation(fileId);
  }

  @OnRequest(readRows)
  rows({ fileId, offset, limit }: Asked<typeof readRows>): Promise<ResponseOf<typeof readRows>> {
    return this.service.rows(fileId, offset, limit);
  }
}
