import { z } from 'zod';
import { EXPORT_FORMATS, exportModel, getModel, listCatalog, listModels, modelRecord, page } from '@luthier/contracts';
import { modelDeletedObject, modelList, modelObject } from '../http/openai-schemas.js';
import { defineRoute } from '../http/route.js';

const byModel = z.object({ model: z.string().describe('Id or name; `/` is written %2F') });

export const listModelsRoute = defineRoute({
  id: 'listModels',
  method: 'GET',
  path: '/v1/models',
  tag: 'Models',
  summary: 'List models that can answer',
  answer: { status: 200, description: 'Base and tuned models', schema: modelList },
});
export const getModelRoute = defineRoute({
  id: 'getModel',
  method: 'GET',
  path: '/v1/models/{model}',
  tag: 'Models',
  summary: 'Read a model',
  params: byModel,
  answer: { status: 200, description: 'The model', schema: modelObject },
  errors: ['model.not-found'],
});
export const deleteModelRoute = defineRoute({
  id: 'deleteModel',
  method: 'DELETE',
  path: '/v1/models/{model}',
  tag: 'Models',
  summary: 'Delete a model',
  params: byModel,
  answer: { status: 200, description: 'It is gone', schema: modelDeletedObject },
  errors: ['model.not-found', 'model.in-use'],
});
export const listCatalogRoute = defineRoute({
  id: 'listCatalog',
  method: 'GET',
  path: '/api/v1/catalog',
  tag: 'Models',
  summary: 'Base models that can be imported by name',
  answer: { status: 200, description: 'Entries', schema: listCatalog.response },
});
export const importModelRoute = defineRoute({
  id: 'importModel',
  method: 'POST',
  path: '/api/v1/models',
  tag: 'Models',
  summary: 'Import a base model',
  description: 'Starts or joins the import; the `state` of the record tells how it goes.',
  body: z.strictObject({
    model: z.string().min(1).max(200).describe('Name of a catalogue entry'),
    localDir: z.string().min(1).optional().describe('Folder on the machine of the platform'),
  }),
  answer: { status: 202, description: 'The record of the model', schema: modelRecord },
  errors: ['model.not-found', 'model.import-failed'],
});
export const listModelRecordsRoute = defineRoute({
  id: 'listModelRecords',
  method: 'GET',
  path: '/api/v1/models',
  tag: 'Models',
  summary: 'List models with their whole records',
  query: listModels.request,
  answer: { status: 200, description: 'A page of models', schema: page(modelRecord) },
});
export const getModelRecordRoute = defineRoute({
  id: 'getModelRecord',
  method: 'GET',
  path: '/api/v1/models/{model}',
  tag: 'Models',
  summary: 'Read the whole record of a model and of its base',
  params: byModel,
  answer: { status: 200, description: 'The model and, for a tuned one, its base', schema: getModel.response },
  errors: ['model.not-found'],
});

const byExport = byModel.extend({ format: z.enum(EXPORT_FORMATS) });

export const exportModelRoute = defineRoute({
  id: 'exportModel',
  method: 'POST',
  path: '/api/v1/models/{model}/exports/{format}',
  tag: 'Models',
  summary: 'Make a model into files for other programs',
  description:
    'Begins or joins the export; ask again while `state` is `making`. Other than as `adapter`, an adapter is merged into its base. ' +
    'What was made is compared with its source before it is given out.',
  params: byExport,
  answer: { status: 200, description: 'Its files, once they are there', schema: exportModel.response },
  errors: exportModel.errors,
});
export const getExportedFileRoute = defineRoute({
  id: 'getExportedFile',
  method: 'GET',
  path: '/api/v1/models/{model}/exports/{format}/{file}',
  tag: 'Models',
  summary: 'Read a file of an export',
  params: byExport.extend({ file: z.string().describe('A name among the files of the export') }),
  answer: { status: 200, description: 'Its bytes', contentType: 'application/octet-stream' },
  errors: ['model.not-found', 'model.not-ready', 'file.not-found', 'storage.unreachable'],
});

export const MODEL_ROUTES = [
  listModelsRoute,
  getModelRoute,
  deleteModelRoute,
  listCatalogRoute,
  importModelRoute,
  listModelRecordsRoute,
  getModelRecordRoute,
  exportModelRoute,
  getExportedFileRoute,
] as const;
