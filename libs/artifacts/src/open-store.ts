import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ArtifactStore } from './artifact-store.js';
import { FileArtifactStore } from './file-artifact-store.js';
import { s3SettingsOf } from './s3-settings.js';

/** `file:///folder`, or `s3://bucket/prefix?region=…&endpoint=…&publicEndpoint=…&pathStyle=…`. */
export const artifactStoreUrl = z.string().superRefine((text, context) => {
  try {
    if (folderOfStore(text) === undefined) s3SettingsOf(text);
  } catch (cause) {
    const issues = cause instanceof z.ZodError ? cause.issues : [];
    const why = issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
    context.addIssue(`expected file:///folder or s3://bucket/prefix?…${why && ` (${why})`}`);
  }
});

/** The folder of a store that has files; undefined where objects come by URL. @throws Error for another scheme. */
export function folderOfStore(url: string): string | undefined {
  const { protocol } = new URL(url);
  if (protocol === 'file:') return fileURLToPath(url);
  if (protocol === 's3:') return undefined;
  throw new Error(`artifacts cannot be kept at ${protocol}`);
}

/** The store that a setting names. The S3 client is loaded only where it is used. */
export async function openArtifactStore(url: string): Promise<ArtifactStore> {
  const folder = folderOfStore(url);
  if (folder !== undefined) return new FileArtifactStore(folder);
  const { S3ArtifactStore } = await import('./s3-artifact-store.js');
  return new S3ArtifactStore(s3SettingsOf(url));
}
