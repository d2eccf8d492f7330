import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { createHash } from 'node:crypto';
import { ARTIFACT_MANIFEST_FILE, AppError } from '@luthier/contracts';
import type { RunOutcome } from '@luthier/contracts';
import type { EndpointClient } from './endpoint-client.js';
import { eventsFile, ranksIn } from './event-tail.js';
import { describeFile, filesBelow, writeAtomically } from './files.js';
import type { ObjectStore } from './object-store.js';

export interface FinishOptions {
  endpoint: EndpointClient;
  store: ObjectStore;
  outputDir: string;
  runFolder: string;
  baseUri: string;
  /** Which of the run's nodes this is. */
  node: number;
  deadlineMs: () => number;
  signal: AbortSignal;
}

/** Stores the folder that a run has made, with its manifest. @returns its reference, the sha256 being the manifest's. */
export async function storeArtifact(
  options: FinishOptions,
  artifactDir: string,
): Promise<{ uri: string; sha256: string }> {
  const folder = join(options.outputDir, artifactDir);
  if (artifactDir.startsWith('/') || artifactDir.split('/').includes('..')) {
    throw new AppError('runtime.crashed', 'The runtime names an artifact outside its output folder');
  }
  const names = (await filesBelow(folder)).filter((name) => name !== ARTIFACT_MANIFEST_FILE);
  if (names.length === 0) throw new AppError('runtime.crashed', 'The runtime has left no artifact');
  const files = [];
  for (const name of names) files.push(await describeFile(folder, name));
  const manifest = JSON.stringify({ version: 1, files });
  await writeAtomically(join(folder, ARTIFACT_MANIFEST_FILE), manifest, { sync: true });
  const uri = `${options.baseUri}/artifact`;
  // The manifest last: with it the folder counts.
  for (const name of [...names, ARTIFACT_MANIFEST_FILE]) await store(options, join(folder, name), `${uri}/${name}`);
  return { uri, sha256: createHash('sha256').update(manifest).digest('hex') };
}

/** Compresses and stores the events files and the log. @returns the URIs of the events files. */
export async function storeRecords(options: FinishOptions): Promise<string[]> {
  const eventUris: string[] = [];
  for (const rank of await ranksIn(options.outputDir)) {
    const packed = join(options.runFolder, `events.${rank}.jsonl.gz`);
    const uri = `${options.baseUri}/events.${rank}.jsonl.gz`;
    await pipeline(createReadStream(eventsFile(options.outputDir, rank)), createGzip(), createWriteStream(packed));
    await store(options, packed, uri);
    eventUris.push(uri);
  }
  const log = join(options.runFolder, 'log.txt');
  if (await stat(log).catch(() => undefined)) {
    await pipeline(createReadStream(log), createGzip(), createWriteStream(`${log}.gz`));
    await store(options, `${log}.gz`, `${options.baseUri}/${logNameOf(options.node)}`);
  }
  return eventUris;
}

const logNameOf = (node: number): string => (node === 0 ? 'log.txt.gz' : `log.${node}.txt.gz`);

/** The last word: on the local disk for the executor, and through the endpoint into the store. */
export async function reportOutcome(options: FinishOptions, outcome: RunOutcome): Promise<void> {
  const { endpoint, deadlineMs } = options;
  // A full disk cannot stop the last word from being said: the endpoint keeps it in the status.
  await writeAtomically(join(options.runFolder, 'outcome.json'), JSON.stringify(outcome), { sync: true }).catch(
    () => undefined,
  );
  await endpoint.persistently(() => endpoint.reportOutcome(outcome), deadlineMs);
}

const store = (options: FinishOptions, source: string, uri: string): Promise<void> =>
  options.store.store(source, uri, options.deadlineMs, options.signal);
