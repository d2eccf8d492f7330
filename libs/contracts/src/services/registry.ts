import { z } from 'zod';
import { defineEvent, defineRequest } from '../define.js';
import { errorCode } from '../errors.js';
import { idOf } from '../ids.js';
import { page, pageQuery } from '../paging.js';
import { artifactRef, artifactUri, sha256 } from '../run-spec.js';

/** Numbers of a model's config.json that plans are made from. */
export const modelShape = z.object({
  architecture: z.string(),
  hiddenSize: z.int().positive(),
  intermediateSize: z.int().positive(),
  layers: z.int().positive(),
  heads: z.int().positive(),
  kvHeads: z.int().positive(),
  headDim: z.int().positive(),
  vocabularySize: z.int().positive(),
  tiedEmbeddings: z.boolean(),
  contextLength: z.int().positive(),
  parameters: z.int().positive(),
  weightBytes: z.int().positive(),
});
export type ModelShape = z.output<typeof modelShape>;

/**
 * The files of a model: all of its weights (a Hugging Face folder: safetensors, config, tokenizer, chat template), or an
 * adapter (a PEFT folder) that is nothing without the weights of its base. There is no third thing, and none that is both.
 */
export const modelFiles = z.discriminatedUnion('form', [
  z.object({ form: z.literal('whole'), weights: artifactRef }),
  z.object({ form: z.literal('adapter'), adapter: artifactRef }),
]);
export type ModelFiles = z.output<typeof modelFiles>;

export const PROOFS = ['unproven', 'better', 'not-shown', 'worse'] as const;

export const modelRecord = z.object({
  id: idOf('model'),
  /** What users write: `smollm2-135m-instruct`, `ft:smollm2-135m-instruct:luthier:support:4k0xab12`. */
  name: z.string(),
  kind: z.enum(['base', 'tuned']),
  state: z.enum(['importing', 'ready', 'failed']),
  createdAt: z.string(),
  title: z.string(),
  license: z.string().nullable(),
  languages: z.array(z.string()),
  shape: modelShape.nullable(),
  /** Null until they are there. A base is always whole. */
  files: modelFiles.nullable(),
  /** Of the files in the artifact store; null: not known. */
  sizeBytes: z.int().nonnegative().nullable(),
  /** What a tuned model was made to give: a reward model gives points to answers. Absent: answers. */
  gives: z.enum(['answers', 'points']).default('answers'),
  /** What a tuned model was made of. It may be gone where the tuned one is whole. */
  baseModelId: z.string().nullable(),
  jobId: z.string().nullable(),
  /** Which source the base came from, in words for the user; and all that were tried. */
  source: z.string().nullable(),
  sourcesTried: z.array(z.object({ source: z.string(), ok: z.boolean(), message: z.string() })),
  proof: z.enum(PROOFS),
  proofReason: z.string().nullable(),
  error: z.object({ code: errorCode, message: z.string(), hint: z.string() }).nullable(),
});
export type ModelRecord = z.output<typeof modelRecord>;

export const catalogEntry = z.object({
  name: z.string(),
  title: z.string(),
  parameters: z.int(),
  license: z.string(),
  languages: z.array(z.string()),
  sources: z.array(z.string()),
});

const s = 'luthier.v1.rpc.registry';
const byModel = z.object({ model: z.string().describe('id or name') });

/** Starts (or joins) an import; the record's `state` and an event say how it ended. `model` names a catalogue entry. */
export const importModel = defineRequest({
  subject: `${s}.import-model`,
  request: z.object({ model: z.string(), localDir: z.string().optional() }),
  response: modelRecord,
  errors: ['model.not-found', 'model.import-failed'],
});
/** The model and, for a tuned one, its base (null also where that is gone and not needed). Never the base in place of an unknown tuned model. */
export const getModel = defineRequest({
  subject: `${s}.get-model`,
  request: byModel,
  response: z.object({ model: modelRecord, base: modelRecord.nullable() }),
  errors: ['model.not-found'],
});
export const listModels = defineRequest({
  subject: `${s}.list-models`,
  request: pageQuery.extend({ kind: z.enum(['base', 'tuned']).optional() }),
  response: page(modelRecord),
});
export const listCatalog = defineRequest({
  subject: `${s}.list-catalog`,
  request: z.object({}),
  response: z.object({ entries: z.array(catalogEntry) }),
});
/**
 * Idempotent by job. The files are copied: `state` is `importing` where that takes longer than an answer may, and asking
 * again joins it.
 */
export const registerModel = defineRequest({
  subject: `${s}.register-model`,
  request: z.object({
    jobId: idOf('job'),
    baseModelId: idOf('model'),
    suffix: z.string().nullable(),
    files: modelFiles,
    gives: z.enum(['answers', 'points']).default('answers'),
  }),
  response: modelRecord,
  errors: ['model.not-found', 'model.unreadable', 'disk.full'],
  timeoutMs: 15_000,
});
/** PEFT folder, Hugging Face folder, or one file for llama.cpp: in bfloat16, half precision, or eight bits. */
export const EXPORT_FORMATS = ['adapter', 'safetensors', 'gguf', 'gguf-f16', 'gguf-q8_0'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** How near an export computes to what it was made from: the same prompts through both. */
export const exportParity = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('same'),
    /** Tokens of all prompts after which the next one was compared. */
    positions: z.int().positive(),
    /** Of these, where the most likely token is another: only where the source's two best lie within 0.05. */
    otherTokens: z.int().nonnegative(),
    /** Kullback-Leibler divergence from the source in nats. */
    meanKl: z.number(),
    maxKl: z.number(),
  }),
  z.object({ status: z.literal('not-checked'), reason: z.string() }),
]);
export type ExportParity = z.output<typeof exportParity>;

/**
 * A model as files: an adapter as it was trained, else one whole model, an adapter merged into its base. Begins or joins;
 * ask again while it is being made. Why one could not be made is told once; asking after that begins anew.
 */
export const exportModel = defineRequest({
  subject: `${s}.export-model`,
  request: byModel.extend({ format: z.enum(EXPORT_FORMATS) }),
  response: z.object({
    state: z.enum(['making', 'ready']),
    /** Folder in the artifact store; null while it is being made. */
    uri: artifactUri.nullable(),
    files: z.array(z.object({ name: z.string(), sizeBytes: z.int().nonnegative(), sha256 })),
    /** Null while it is being made, and for what is taken as it is. */
    parity: exportParity.nullable(),
  }),
  errors: [
    'model.not-found',
    'model.not-ready',
    'model.unsupported',
    'model.unreadable',
    'model.export-drifted',
    'disk.full',
  ],
  timeoutMs: 15_000,
});
export const deleteModel = defineRequest({
  subject: `${s}.delete-model`,
  request: byModel,
  response: z.object({ modelId: z.string() }),
  errors: ['model.not-found', 'model.in-use'],
});

export const modelImported = defineEvent({
  subject: 'luthier.v1.event.registry.model.imported',
  schema: z.object({ modelId: z.string(), name: z.string(), ok: z.boolean() }),
  key: (e) => `${e.modelId}:${e.ok}`,
});
export const modelRegistered = defineEvent({
  subject: 'luthier.v1.event.registry.model.registered',
  schema: z.object({ modelId: z.string(), name: z.string(), jobId: z.string() }),
  key: (e) => e.modelId,
});
export const modelDeleted = defineEvent({
  subject: 'luthier.v1.event.registry.model.deleted',
  schema: z.object({ modelId: z.string() }),
  key: (e) => e.modelId,
});
