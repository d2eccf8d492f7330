import { readFile, stat } from 'node:fs/promises';
import { TextError } from './text-error.js';

const JSON_BYTES_MAX = 64 * 1024 * 1024;

/** Reads a tokenizer's JSON file with a size limit. */
export async function readJson(path: string): Promise<unknown> {
  const { size } = await stat(path);
  if (size > JSON_BYTES_MAX)
    throw new TextError('text.tokenizer-invalid', `${path} has ${size} bytes; the limit is ${JSON_BYTES_MAX}.`, {
      path,
    });
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new TextError('text.tokenizer-invalid', `${path} is not valid JSON.`, { path }, { cause });
  }
}
