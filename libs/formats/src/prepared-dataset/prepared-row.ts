export interface PreparedRow {
  readonly tokens: Int32Array;
  /** 1 where the model is trained to predict this token; always 0 at the first token. As long as `tokens`. */
  readonly trained: Uint8Array;
  /** Tokens before the last assistant turn. */
  readonly promptLength: number;
  /** From 1, in the source's unit (line or row). */
  readonly sourceLine: number;
  /** Index into the manifest's `sources`. */
  readonly sourceFile: number;
  /** Only in KTO datasets: 1 desirable, 0 undesirable. */
  readonly label?: 0 | 1;
  /** Of prompts, and of them alone: what a grader looks at. */
  readonly item?: Readonly<Record<string, unknown>>;
}

export type StoredKind = 'sft' | 'pretrain' | 'preference' | 'kto' | 'prompts';

export const SHARD_BYTES_MAX = 256 * 1024 * 1024;
export const PREPARED_MANIFEST_FILE = 'manifest.json';

export const shardFileName = (index: number): string => `shard-${String(index).padStart(5, '0')}.safetensors`;
export const itemsFileName = (index: number): string => `items-${String(index).padStart(5, '0')}.jsonl`;
