import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ARTIFACT_MANIFEST_FILE, AppError, artifactManifest } from '@luthier/contracts';
import type { ArtifactManifest, ArtifactRef } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);

export const sizeOf = (files: ArtifactManifest['files']): number =>
  files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

export interface StoredFolder extends ArtifactRef {
  readonly files: ArtifactManifest['files'];
}

/** Writes the manifest of a folder whose files are stored, last: a folder without one is not there yet. */
async function putManifest(store: ArtifactStore, uri: string, files: ArtifactManifest['files']): Promise<StoredFolder> {
  const manifest: ArtifactManifest = { version: 1, files: files.toSorted(byName) };
  const { sha256 } = await store.put(`${uri}/${ARTIFACT_MANIFEST_FILE}`, `${JSON.stringify(manifest, null, 2)}\n`);
  return { uri, sha256, files: manifest.files };
}

/** The files of a stored folder; undefined: it is not there, or not yet whole. */
export async function filesOf(store: ArtifactStore, uri: string): Promise<StoredFolder['files'] | undefined> {
  const manifest = `${uri}/${ARTIFACT_MANIFEST_FILE}`;
  if (!(await store.stat(manifest))) return undefined;
  return artifactManifest.parse(JSON.parse((await readArtifact(store, manifest)).toString('utf8'))).files;
}

/** Stores the plain files of a local folder. */
export async function putModelFolder(
  store: ArtifactStore,
  dir: string,
  uri: string,
  signal: AbortSignal,
): Promise<StoredFolder> {
  const files: ArtifactManifest['files'] = [];
  for (const name of await readdir(dir)) {
    signal.throwIfAborted();
    const { sizeBytes, sha256 } = await store.put(`${uri}/${name}`, createReadStream(join(dir, name)));
    files.push({ name, sizeBytes, sha256 });
  }
  return putManifest(store, uri, files);
}

/** @throws AppError `model.unreadable` when the folder is not what the reference names. */
async function manifestOf(
  store: ArtifactStore,
  { uri, sha256 }: ArtifactRef,
): Promise<{ bytes: Buffer; files: StoredFolder['files'] }> {
  const bytes = await readArtifact(store, `${uri}/${ARTIFACT_MANIFEST_FILE}`);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new AppError('model.unreadable', `The manifest of ${uri} is not the one that was announced`);
  }
  return { bytes, files: artifactManifest.parse(JSON.parse(bytes.toString('utf8'))).files };
}

/**
 * Copies a stored folder, every file checked against its manifest; the copy has the same manifest, hence the same
 * sha256. Nothing is copied when `check` throws.
 * @throws AppError `model.unreadable` when the folder is not what the reference names.
 */
export async function copyModelFolder(
  store: ArtifactStore,
  from: ArtifactRef,
  uri: string,
  check: (files: StoredFolder['files']) => void,
): Promise<StoredFolder> {
  const { bytes, files } = await manifestOf(store, from);
  check(files);
  for (const { name, sizeBytes, sha256 } of files) {
    const known = await store.stat(`${uri}/${name}`);
    if (known?.sizeBytes === sizeBytes && (await store.stat(`${uri}/${ARTIFACT_MANIFEST_FILE}`))) continue;
    await store.put(`${uri}/${name}`, await store.get(`${from.uri}/${name}`), {
      expectedSha256: sha256,
      maxSizeBytes: sizeBytes,
    });
  }
  await store.put(`${uri}/${ARTIFACT_MANIFEST_FILE}`, bytes, { expectedSha256: from.sha256 });
  return { uri, sha256: from.sha256, files };
}
