import { readFile } from 'node:fs/promises';

/**
 * Tells a person how to sign in. The key itself is shown only on a terminal: where the output goes to a file or into
 * another program's log, it would stay there for others to read.
 */
export async function signInLine(apiKeyFile: string, out: { readonly isTTY?: boolean }): Promise<string> {
  if (out.isTTY !== true) return `sign in with the key in ${apiKeyFile}`;
  return `sign in with the key ${(await readFile(apiKeyFile, 'utf8')).trim()} (kept in ${apiKeyFile})`;
}
