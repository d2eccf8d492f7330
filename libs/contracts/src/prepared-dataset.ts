import { z } from 'zod';
import { sha256 } from './run-spec.js';

/** `manifest.json` of a prepared dataset; its sha256 is the dataset's address. */
export const preparedManifest = z.object({
  version: z.literal(1),
  kind: z.enum(['sft', 'pretrain', 'preference', 'kto', 'prompts']),
  rows: z.int().nonnegative(),
  tokens: z.int().nonnegative(),
  trainedTokens: z.int().nonnegative(),
  cutoffLength: z.int().positive(),
  tokenizerSha256: sha256,
  templateSha256: sha256,
  sources: z.array(
    z.object({
      fileId: z.string(),
      sha256,
      unit: z.enum(['line', 'row']),
      rows: z.int().nonnegative(),
      cutRows: z.int().nonnegative(),
      droppedRows: z.int().nonnegative(),
    }),
  ),
  shards: z.array(
    z.object({
      file: z.string().regex(/^shard-\d{5}\.safetensors$/),
      sha256,
      rows: z.int().nonnegative(),
      tokens: z.int().nonnegative(),
      trainedTokens: z.int().nonnegative(),
      /** Of prompts: what graders look at, an object for each row. */
      items: z.object({ file: z.string().regex(/^items-\d{5}\.jsonl$/), sha256 }).optional(),
    }),
  ),
});
export type PreparedManifest = z.output<typeof preparedManifest>;

/** Version of the code that prepares; part of the cache key. */
export const PREPARER_VERSION = 1;
