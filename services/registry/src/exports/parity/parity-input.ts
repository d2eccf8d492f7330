import type { ParityFigures } from './compare-logits.js';

/** What is compared, as one process tells another. */
export interface ParityInput {
  /** Hugging Face folder of the source, and the adapter it answers with where it is not merged. */
  readonly sourceDir: string;
  readonly adapterDir: string | null;
  readonly exported:
    { readonly kind: 'gguf'; readonly path: string } | { readonly kind: 'folder'; readonly path: string };
}

export interface ParityResult {
  readonly figures: ParityFigures;
  /** The first text that the two split into different tokens; null: none. */
  readonly splitOtherwise: string | null;
}

/** What a comparison may take. */
export interface ParityLimits {
  /** Memory that source and export may take together. */
  readonly memoryMib: number;
  readonly timeoutMs: number;
}
