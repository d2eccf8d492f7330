import { createHash } from 'node:crypto';
import { PREPARER_VERSION } from '@luthier/contracts';
import type { ArtifactManifest, ArtifactRef, PreparedKind } from '@luthier/contracts';

export interface SourceFile {
  readonly fileId: string;
  readonly filename: string;
  readonly uri: string;
  readonly sha256: string;
}

/** Everything that a preparation depends on, frozen when it was asked for. */
export interface PreparationOrder {
  readonly files: readonly SourceFile[];
  readonly mix: { readonly file: SourceFile; readonly share: number } | null;
  readonly model: ArtifactRef;
  /** Tokenizer and template files of the model folder. */
  readonly modelFiles: ArtifactManifest['files'];
  readonly cutoffLength: number;
  readonly kind: PreparedKind;
  readonly seed: number;
}

/** Files of a model folder that decide how text becomes tokens. */
export const TEXT_FILES = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'] as const;

/** The same for the same content, whatever the files and models are called. The seed counts only where it is used. */
export function cacheKeyOf(order: PreparationOrder): string {
  const parts = {
    preparer: PREPARER_VERSION,
    sources: order.files.map(({ sha256 }) => sha256),
    mapping: null,
    mix: order.mix && { sha256: order.mix.file.sha256, share: order.mix.share, seed: order.seed },
    text: order.modelFiles.map(({ name, sha256 }) => `${name}:${sha256}`).toSorted(),
    kind: order.kind,
    cutoffLength: order.cutoffLength,
  };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
