import { checkCluster, getCluster, getDataset, getInventory, listDatasets, listEvaluations } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import type { Authenticator } from '../auth/authenticator.js';
import { bindRoute } from '../http/route.js';
import type { RouteBinding } from '../http/route.js';
import { buildOpenApi } from '../openapi/openapi.js';
import { VERSION } from '../version.js';
import { Parts } from './parts.js';
import * as routes from './platform.routes.js';

export function platformBindings(bus: MessageBus, authenticator: Authenticator): RouteBinding[] {
  const parts = new Parts(bus);
  const document = buildOpenApi(VERSION);
  return [
    bindRoute(routes.statusRoute, async ({ request }) => {
      const [all, identity] = await Promise.all([parts.all(), authenticator.find(request)]);
      return { version: VERSION, ready: all.every(({ ready }) => ready), ...(identity && { parts: all }) };
    }),
    bindRoute(routes.openApiRoute, async () => document),
    bindRoute(routes.inventoryRoute, ({ requestId }) => bus.request(getInventory, {}, { requestId })),
    bindRoute(routes.clusterRoute, ({ requestId }) => bus.request(getCluster, {}, { requestId })),
    bindRoute(routes.clusterDoctorRoute, ({ requestId }) => bus.request(checkCluster, {}, { requestId })),
    bindRoute(routes.listDatasetsRoute, ({ query, requestId }) => bus.request(listDatasets, query, { requestId })),
    bindRoute(routes.getDatasetRoute, ({ params, requestId }) =>
      bus.request(getDataset, { datasetId: params.dataset_id }, { requestId }),
    ),
    bindRoute(routes.listEvaluationsRoute, ({ query, requestId }) =>
      bus.request(listEvaluations, query, { requestId }),
    ),
  ];
}
