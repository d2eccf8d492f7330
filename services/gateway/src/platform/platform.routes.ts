import { z } from 'zod';
import {
  clusterReport,
  datasetRecord,
  doctorReport,
  evaluationRecord,
  inventory,
  page,
  pageQuery,
} from '@luthier/contracts';
import { defineRoute } from '../http/route.js';

export const statusRoute = defineRoute({
  id: 'getStatus',
  method: 'GET',
  path: '/api/v1/status',
  tag: 'Platform',
  summary: 'Version, and whether the platform is ready',
  auth: 'none',
  answer: {
    status: 200,
    description: 'Which parts answer is told only to those who are signed in',
    schema: z.object({
      version: z.string(),
      ready: z.boolean(),
      parts: z.array(z.object({ name: z.string(), ready: z.boolean(), message: z.string() })).optional(),
    }),
  },
});
export const openApiRoute = defineRoute({
  id: 'getOpenApi',
  method: 'GET',
  path: '/api/v1/openapi.json',
  tag: 'Platform',
  summary: 'This document',
  auth: 'none',
  answer: { status: 200, description: 'OpenAPI 3.1', schema: z.record(z.string(), z.unknown()) },
});
export const inventoryRoute = defineRoute({
  id: 'getInventory',
  method: 'GET',
  path: '/api/v1/inventory',
  tag: 'Platform',
  summary: 'What runs can be placed on, right now',
  answer: { status: 200, description: 'Profiles', schema: inventory },
});
export const clusterRoute = defineRoute({
  id: 'getCluster',
  method: 'GET',
  path: '/api/v1/cluster',
  tag: 'Platform',
  summary: 'Nodes, GPUs, quotas and queues that runs are placed on',
  answer: { status: 200, description: 'What there is at this moment', schema: clusterReport },
});
export const clusterDoctorRoute = defineRoute({
  id: 'examineCluster',
  method: 'GET',
  path: '/api/v1/cluster/doctor',
  tag: 'Platform',
  summary: 'Look at everything that runs need, with a fix for what is wrong',
  answer: { status: 200, description: 'The findings; `ok` is false when a check failed', schema: doctorReport },
});
export const listDatasetsRoute = defineRoute({
  id: 'listDatasets',
  method: 'GET',
  path: '/api/v1/datasets',
  tag: 'Data',
  summary: 'List prepared datasets',
  query: pageQuery,
  answer: { status: 200, description: 'A page of datasets', schema: page(datasetRecord) },
});
export const getDatasetRoute = defineRoute({
  id: 'getDataset',
  method: 'GET',
  path: '/api/v1/datasets/{dataset_id}',
  tag: 'Data',
  summary: 'Read a prepared dataset',
  params: z.object({ dataset_id: z.string() }),
  answer: { status: 200, description: 'The dataset', schema: datasetRecord },
  errors: ['dataset.not-found'],
});
export const listEvaluationsRoute = defineRoute({
  id: 'listEvaluations',
  method: 'GET',
  path: '/api/v1/evaluations',
  tag: 'Jobs',
  summary: 'List evaluations',
  query: pageQuery,
  answer: { status: 200, description: 'A page of evaluations', schema: page(evaluationRecord) },
});

export const PLATFORM_ROUTES = [
  statusRoute,
  openApiRoute,
  inventoryRoute,
  clusterRoute,
  clusterDoctorRoute,
  listDatasetsRoute,
  getDatasetRoute,
  listEvaluationsRoute,
] as const;
