import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PreparedDataset } from '@luthier/formats';
import { openSafetensors, writeSafetensors } from '@luthier/formats';
import { rowsOf, storedBatches } from '../inputs/global-batches.js';
import type { Batch, Row } from '../inputs/global-batches.js';

const FILE = 'reference.safetensors';
const CHUNK_UNITS = 64;

/** Log-probabilities of whole answers, in the order of the rows. */
export type Measure = (rows: readonly Row[]) => Promise<Float64Array>;

/**
 * Log-probabilities under the model before the first step, with the adapter that it goes on from. Measured once and
 * kept with the checkpoints, so that no second model is in memory.
 */
export interface Reference {
  /** [rows], as they are stored. */
  readonly rows: Float64Array;
  /** [units taken], in the order in which batches take them; of KTO alone, else empty. */
  readonly mismatched: Float64Array;
}

/** The prompt of each row with the answer of the next one of its batch (after the last comes the first). */
export function mismatchedRows({ units }: Batch): Row[] {
  const rows = rowsOf(units);
  return rows.map((row, i) => withAnswer(row, rows[(i + 1) % rows.length] ?? row));
}

function withAnswer(row: Row, other: Row): Row {
  const answer = other.tokens.subarray(other.promptLength);
  const tokens = new Int32Array(row.promptLength + answer.length);
  tokens.set(row.tokens.subarray(0, row.promptLength));
  tokens.set(answer, row.promptLength);
  const trained = new Uint8Array(tokens.length);
  trained.set(other.trained.subarray(other.promptLength), row.promptLength);
  return { ...row, tokens, trained };
}

/** `batches` are those that will be taken. */
export async function measureReference(
  dataset: PreparedDataset,
  batches: AsyncIterable<Batch>,
  measure: Measure,
  mismatches: boolean,
): Promise<Reference> {
  const rows: number[] = [];
  for await (const batch of storedBatches(dataset, CHUNK_UNITS)) rows.push(...(await measure(rowsOf(batch.units))));
  const mismatched: number[] = [];
  if (mismatches) for await (const batch of batches) mismatched.push(...(await measure(mismatchedRows(batch))));
  return { rows: Float64Array.from(rows), mismatched: Float64Array.from(mismatched) };
}

const PARTS = ['rows', 'mismatched'] as const;

export async function saveReferences(references: ReadonlyMap<string, Reference>, folder: string): Promise<void> {
  const tensors = [...references].flatMap(([name, reference]) =>
    PARTS.map((part) => ({
      name: `${name}/${part}`,
      dtype: 'F64' as const,
      shape: [reference[part].length],
      data: reference[part],
    })),
  );
  await writeSafetensors(join(folder, FILE), tensors, {}, { fsync: true });
}

/** Empty when the run was stopped before they were measured. */
export async function loadReferences(folder: string): Promise<Map<string, Reference>> {
  const found = new Map<string, Reference>();
  if (!existsSync(join(folder, FILE))) return found;
  const file = await openSafetensors(join(folder, FILE));
  const values = async (name: string): Promise<Float64Array> => {
    const bytes = await file.read(name);
    return new Float64Array(bytes.slice().buffer);
  };
  for (const name of new Set([...file.tensors.keys()].map((tensor) => tensor.slice(0, tensor.indexOf('/')))))
    found.set(name, { rows: await values(`${name}/rows`), mismatched: await values(`${name}/mismatched`) });
  return found;
}
