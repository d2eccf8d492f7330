import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { CHART } from './helm.js';

/** What the chart takes a runtime to be able to do, where a profile says nothing else. */
export async function knownCapabilities(runtime: string): Promise<unknown> {
  const known = parse(await readFile(join(CHART, 'files', 'runtimes.yaml'), 'utf8')) as Record<
    string,
    { capabilities: unknown }
  >;
  return known[runtime]?.capabilities;
}
