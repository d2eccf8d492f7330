import { AppError, deleteModel, exportModel, getModel, importModel, listCatalog, listModels } from '@luthier/contracts';
import type { ModelRecord } from '@luthier/contracts';
import type { ArtifactStore } from '@luthier/artifacts';
import type { MessageBus } from '@luthier/messaging';
import { bindRoute } from '../http/route.js';
import type { RouteBinding } from '../http/route.js';
import { presentModel } from './model-presenter.js';
import * as routes from './models.routes.js';

const PAGE = 500;
/** OpenAI's list of models has no pages; more than this nobody scrolls through. */
const MAX_LISTED = 5000;

async function allModels(bus: MessageBus, requestId: string): Promise<ModelRecord[]> {
  const models: ModelRecord[] = [];
  while (models.length < MAX_LISTED) {
    const last = models.at(-1)?.id;
    const page = await bus.request(
      listModels,
      { limit: PAGE, ...(last !== undefined && { after: last }) },
      { requestId },
    );
    models.push(...page.items);
    if (!page.hasMore || page.items.length === 0) break;
  }
  return models;
}

export function modelBindings(bus: MessageBus, artifacts: ArtifactStore): RouteBinding[] {
  return [
    bindRoute(routes.listModelsRoute, async ({ requestId }) => {
      const models = await allModels(bus, requestId);
      return { object: 'list' as const, data: models.filter(({ state }) => state === 'ready').map(presentModel) };
    }),
    bindRoute(routes.getModelRoute, async ({ params, requestId }) =>
      presentModel((await bus.request(getModel, { model: params.model }, { requestId })).model),
    ),
    bindRoute(routes.deleteModelRoute, async ({ params, requestId }) => {
      await bus.request(deleteModel, { model: params.model }, { requestId });
      return { id: params.model, object: 'model' as const, deleted: true };
    }),
    bindRoute(routes.listCatalogRoute, ({ requestId }) => bus.request(listCatalog, {}, { requestId })),
    bindRoute(routes.importModelRoute, ({ body, requestId }) => {
      const { model, localDir } = body;
      return bus.request(importModel, { model, ...(localDir !== undefined && { localDir }) }, { requestId });
    }),
    bindRoute(routes.listModelRecordsRoute, ({ query, requestId }) => bus.request(listModels, query, { requestId })),
    bindRoute(routes.getModelRecordRoute, ({ params, requestId }) =>
      bus.request(getModel, { model: params.model }, { requestId }),
    ),
    bindRoute(routes.exportModelRoute, ({ params, requestId }) => bus.request(exportModel, params, { requestId })),
    bindRoute(routes.getExportedFileRoute, async ({ params, request, reply, requestId }) => {
      const { model, format, file: name } = params;
      const { uri, files } = await bus.request(exportModel, { model, format }, { requestId });
      if (uri === null) throw new AppError('model.not-ready', 'The export is still being made', { param: 'model' });
      const file = files.find((one) => one.name === name);
      if (!file) throw new AppError('file.not-found', `The export has no file ${JSON.stringify(name.slice(0, 100))}`);
      const content = await artifacts.get(`${uri}/${file.name}`);
      request.raw.once('close', () => content.destroy());
      reply.header('content-length', file.sizeBytes);
      reply.header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`);
      reply.type('application/octet-stream');
      return content;
    }),
  ];
}
