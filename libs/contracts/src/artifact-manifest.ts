import { z } from 'zod';
import { sha256 } from './run-spec.js';

/** Lies as `artifact-manifest.json` in every stored folder (models, adapters, checkpoints); its sha256 names the folder. */
export const artifactManifest = z.object({
  version: z.literal(1),
  files: z.array(z.object({ name: z.string(), sizeBytes: z.int().nonnegative(), sha256 })),
});
export type ArtifactManifest = z.output<typeof artifactManifest>;
export const ARTIFACT_MANIFEST_FILE = 'artifact-manifest.json';
