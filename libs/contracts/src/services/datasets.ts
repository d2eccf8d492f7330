import { z } from 'zod';
import { defineEvent, defineRequest } from '../define.js';
import { errorCode } from '../errors.js';
import { idOf } from '../ids.js';
import { preparedKind, rowKind } from '../method-data.js';
import { page, pageQuery } from '../paging.js';
import { artifactRef, artifactUri, sha256 } from '../run-spec.js';

export const FILE_PURPOSES = ['fine-tune', 'evals', 'user_data', 'fine-tune-results'] as const;

/** What can be wrong with a row (or a whole file), by line. */
export const ROW_ISSUE_CODES = [
  'not-json',
  'not-object',
  'missing-field',
  'empty-field',
  'wrong-type',
  'unknown-format',
  'mixed-format',
  'mixed-kind',
  'byte-order-mark',
  'crlf',
  'invalid-utf8',
  'line-too-long',
  'no-assistant-turn',
  'bad-role',
  'no-prompt',
  'different-prompts',
  'same-answers',
  'placeholder-left',
  'duplicate-row',
  'duplicates-not-checked',
  'one-sided-ratings',
  'empty-file',
] as const;

export const rowIssue = z.object({
  /** From 1; for a JSON array file the row's number. 0: the file as a whole. */
  line: z.int().nonnegative(),
  field: z.string().nullable(),
  code: z.enum(ROW_ISSUE_CODES),
  severity: z.enum(['error', 'warning']),
  message: z.string(),
  hint: z.string(),
});
export type RowIssue = z.output<typeof rowIssue>;

export const ROW_FORMATS = [
  'alpaca',
  'chat',
  'prompt-completion',
  'sharegpt',
  'openai-preference',
  'chosen-rejected',
  'text',
] as const;

export const validationReport = z.object({
  fileId: idOf('file'),
  state: z.enum(['validating', 'done']),
  format: z.enum(ROW_FORMATS).nullable(),
  /** What the usable rows are; null: there are none. Reports of older files do not say so: those held examples. */
  rowKind: rowKind.nullable().default('examples'),
  rows: z.int().nonnegative(),
  usableRows: z.int().nonnegative(),
  errorCount: z.int().nonnegative(),
  warningCount: z.int().nonnegative(),
  /** At most the first 100; all are counted. */
  issues: z.array(rowIssue).max(100),
  issueCounts: z.record(z.string(), z.int().nonnegative()),
  /** Of prompts: the fields beside them that every usable row has, for graders to look at; at most 100. */
  itemFields: z.array(z.string()).default([]),
  /** Of what a model reads: the prompt of a pair counts for either answer. */
  characters: z.int().nonnegative(),
  finishedAt: z.string().nullable(),
});
export type ValidationReport = z.output<typeof validationReport>;

export const fileRecord = z.object({
  id: idOf('file'),
  filename: z.string(),
  purpose: z.enum(FILE_PURPOSES),
  sizeBytes: z.int().nonnegative(),
  sha256,
  uri: artifactUri,
  createdAt: z.string(),
  /** From then on it is deleted as soon as no unfinished job uses it; null: kept until somebody deletes it. */
  expiresAt: z.iso.datetime().nullable().default(null),
  status: z.enum(['uploaded', 'processed', 'error']),
  statusDetails: z.string().nullable(),
});
export type FileRecord = z.output<typeof fileRecord>;

export const chatMessage = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
});
export type ChatMessage = z.output<typeof chatMessage>;

/**
 * A usable row, format differences removed. `facts` and `suite` are for evaluation. The messages of a pair end with its
 * chosen answer, and those of a prompt with the user; plain text has none.
 */
export const datasetRow = z.object({
  line: z.int().positive(),
  messages: z.array(chatMessage),
  /** Of a pair: the answer not to give. */
  rejected: z.string().optional(),
  /** Of a rating: whether the last message is an answer to give. */
  desirable: z.boolean().optional(),
  /** Of plain text. */
  text: z.string().optional(),
  /** Of a prompt: the fields beside it. */
  item: z.record(z.string(), z.unknown()).optional(),
  facts: z.array(z.string()),
  suite: z.string().nullable(),
});
export type DatasetRow = z.output<typeof datasetRow>;

export const datasetRecord = z.object({
  id: idOf('dataset'),
  role: z.enum(['train', 'held-out']),
  state: z.enum(['preparing', 'ready', 'failed']),
  createdAt: z.string(),
  kind: preparedKind,
  /** Rows as the files count them. */
  sources: z.array(
    z.object({
      fileId: z.string(),
      filename: z.string(),
      rows: z.int(),
      usedRows: z.int(),
      droppedRows: z.int(),
      cutRows: z.int(),
    }),
  ),
  /** What batches count; a pair is one. */
  rows: z.int().nonnegative(),
  tokens: z.int().nonnegative(),
  trainedTokens: z.int().nonnegative(),
  longestRowTokens: z.int().nonnegative(),
  /** Of the largest thing that goes through the model as a whole: a pair, or a prompt with another row's answer (KTO). */
  longestPassTokens: z.int().nonnegative(),
  cutoffLength: z.int().positive(),
  /** Folder of the prepared dataset; the sha256 is that of its `manifest.json`. */
  artifact: artifactRef.nullable(),
  error: z.object({ code: errorCode, message: z.string(), hint: z.string() }).nullable(),
});
export type DatasetRecord = z.output<typeof datasetRecord>;

/** General rows mixed into the training rows: `share` of the result comes from `fileId`, at most all of its rows. */
export const mixSpec = z.object({ fileId: idOf('file'), share: z.number().gt(0).max(0.9) });

const s = 'luthier.v1.rpc.datasets';
export const addFile = defineRequest({
  subject: `${s}.add-file`,
  request: fileRecord.omit({ status: true, statusDetails: true }),
  response: fileRecord,
});
export const getFile = defineRequest({
  subject: `${s}.get-file`,
  request: z.object({ fileId: z.string() }),
  response: fileRecord,
  errors: ['file.not-found'],
});
export const listFiles = defineRequest({
  subject: `${s}.list-files`,
  request: pageQuery.extend({ purpose: z.enum(FILE_PURPOSES).optional() }),
  response: page(fileRecord),
});
/** Refused while an unfinished job uses the file, and while training cannot be asked whether one does. */
export const deleteFile = defineRequest({
  subject: `${s}.delete-file`,
  request: z.object({ fileId: z.string() }),
  response: z.object({ fileId: z.string() }),
  errors: ['file.not-found', 'file.in-use', 'service.unavailable'],
});
export const getValidation = defineRequest({
  subject: `${s}.get-validation`,
  request: z.object({ fileId: z.string() }),
  response: validationReport,
  errors: ['file.not-found'],
});
/** What the rows of one answer may take as JSON, so that it fits into a message; a page ends before the next row would exceed it. */
export const ROWS_PAGE_BYTES_MAX = 512 * 1024;
/**
 * A page of usable rows. Fewer than `limit` can come back before the end: go on at `nextOffset` until it reaches `total`
 * (0 as long as the file is being validated). A row that is larger than a page on its own is left out: its line is
 * missing and `nextOffset` counts it.
 */
export const readRows = defineRequest({
  subject: `${s}.read-rows`,
  request: z.object({
    fileId: z.string(),
    offset: z.int().nonnegative().default(0),
    limit: z.int().min(1).max(200).default(50),
  }),
  response: z.object({
    rows: z.array(datasetRow),
    total: z.int().nonnegative(),
    /** Usable rows passed so far, those left out included. */
    nextOffset: z.int().nonnegative(),
  }),
  errors: ['file.not-found', 'file.unusable'],
  timeoutMs: 30_000,
});
/** Idempotent by content (cache key of contracts 7); answers at once, the work ends with an event. */
export const prepareDataset = defineRequest({
  subject: `${s}.prepare-dataset`,
  request: z.object({
    role: z.enum(['train', 'held-out']),
    fileIds: z.array(idOf('file')).min(1),
    mix: mixSpec.optional(),
    /** Folder with tokenizer and chat template. */
    model: artifactRef,
    cutoffLength: z.int().positive(),
    /** Decides which rows are wanted, and how they are stored. */
    kind: preparedKind,
    seed: z.int(),
  }),
  response: datasetRecord,
  errors: ['file.not-found'],
});
export const getDataset = defineRequest({
  subject: `${s}.get-dataset`,
  request: z.object({ datasetId: z.string() }),
  response: datasetRecord,
  errors: ['dataset.not-found'],
});
export const listDatasets = defineRequest({
  subject: `${s}.list-datasets`,
  request: pageQuery,
  response: page(datasetRecord),
});

export const fileValidated = defineEvent({
  subject: 'luthier.v1.event.datasets.file.validated',
  schema: z.object({
    fileId: z.string(),
    rows: z.int(),
    usableRows: z.int(),
    errorCount: z.int(),
    warningCount: z.int(),
  }),
  key: (e) => e.fileId,
});
export const datasetPrepared = defineEvent({
  subject: 'luthier.v1.event.datasets.dataset.prepared',
  schema: z.object({ datasetId: z.string() }),
  key: (e) => e.datasetId,
});
/** Preparation failed; the record says why. */
export const datasetRefused = defineEvent({
  subject: 'luthier.v1.event.datasets.dataset.refused',
  schema: z.object({ datasetId: z.string() }),
  key: (e) => e.datasetId,
});
