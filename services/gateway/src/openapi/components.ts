import { z } from 'zod';
import {
  catalogEntry,
  chatMessage,
  datasetRecord,
  datasetRow,
  diagnosis,
  evaluationRecord,
  evaluationSample,
  hyperparameters,
  inventory,
  jobAttempt,
  jobCheckpoint,
  jobEvent,
  jobProgress,
  jobRecord,
  metricPoint,
  modelRecord,
  modelShape,
  obstacle,
  plan,
  rowIssue,
  score,
  sideScores,
  tuning,
  validationReport,
} from '@luthier/contracts';
import * as openai from '../http/openai-schemas.js';
import { renameInJsonSchema } from '../http/snake-case.js';

/** Schemas that get a name in the document; all others are written where they are used. */
const NAMED_SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  OpenAIError: openai.openaiError,
  Problem: openai.problem,
  OpenAIFile: openai.fileObject,
  OpenAIJob: openai.jobObject,
  OpenAIJobEvent: openai.jobEventObject,
  OpenAICheckpoint: openai.checkpointObject,
  OpenAIModel: openai.modelObject,
  ChatCompletion: openai.chatCompletion,
  CatalogEntry: catalogEntry,
  ChatMessage: chatMessage,
  Dataset: datasetRecord,
  DatasetRow: datasetRow,
  Diagnosis: diagnosis,
  Evaluation: evaluationRecord,
  EvaluationSample: evaluationSample,
  Hyperparameters: hyperparameters,
  Inventory: inventory,
  Job: jobRecord,
  JobAttempt: jobAttempt,
  JobCheckpoint: jobCheckpoint,
  JobEvent: jobEvent,
  JobProgress: jobProgress,
  MetricPoint: metricPoint,
  Model: modelRecord,
  ModelShape: modelShape,
  Obstacle: obstacle,
  Plan: plan,
  RowIssue: rowIssue,
  Score: score,
  SideScores: sideScores,
  Tuning: tuning,
  ValidationReport: validationReport,
};

const reference = (name: string): string => `#/components/schemas/${name}`;

export type JsonSchema = Record<string, unknown>;

/**
 * Turns schemas of answers into JSON Schema of their wire form; what has a name becomes a reference. All are converted
 * in one pass, so `answers` holds every schema that will be asked for.
 */
export function describeAnswers(answers: ReadonlyMap<string, z.ZodType>): {
  components: Record<string, JsonSchema>;
  byKey: ReadonlyMap<string, JsonSchema>;
} {
  const registry = z.registry<{ id: string }>();
  const nameOf = new Map<z.ZodType, string>();
  for (const [name, schema] of Object.entries(NAMED_SCHEMAS)) {
    registry.add(schema, { id: name });
    nameOf.set(schema, name);
  }
  for (const [key, schema] of answers) {
    if (!nameOf.has(schema)) registry.add(schema, { id: key });
    if (!nameOf.has(schema)) nameOf.set(schema, key);
  }
  const { schemas } = z.toJSONSchema(registry, { uri: reference, override: describeWire, unrepresentable: 'any' });
  const components: Record<string, JsonSchema> = {};
  const byKey = new Map<string, JsonSchema>();
  for (const name of Object.keys(NAMED_SCHEMAS).sort()) components[name] = bare(schemas[name]);
  for (const [key, schema] of answers) {
    const name = nameOf.get(schema) ?? key;
    byKey.set(key, name in NAMED_SCHEMAS ? { $ref: reference(name) } : bare(schemas[name]));
  }
  return { components, byKey };
}

/** JSON Schema of the wire form of what a caller sends; written out in full. */
export const describeInput = (schema: z.ZodType): JsonSchema =>
  bare(z.toJSONSchema(schema, { io: 'input', override: describeWire, unrepresentable: 'any', reused: 'inline' }));

function describeWire(context: {
  zodSchema: z.core.$ZodTypes;
  jsonSchema: z.core.JSONSchema.BaseSchema;
  path: (string | number)[];
}): void {
  renameInJsonSchema(context);
  // An answer may gain fields; only our own strict inputs forbid others.
  const { zodSchema, jsonSchema } = context;
  const strict = zodSchema instanceof z.core.$ZodObject && zodSchema._zod.def.catchall instanceof z.core.$ZodNever;
  if (zodSchema instanceof z.core.$ZodObject && !strict) delete jsonSchema.additionalProperties;
  // The bounds of exact integers say nothing about the field.
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (zodSchema instanceof z.core.$ZodFile) {
    delete jsonSchema.contentEncoding;
    Object.assign(jsonSchema, { type: 'string', format: 'binary' });
  }
}

function bare(schema: object | undefined): JsonSchema {
  const result: JsonSchema = { ...schema };
  delete result['$schema'];
  delete result['$id'];
  return result;
}
