export { ArtifactStore, readArtifact } from './artifact-store.js';
export type {
  ArtifactContent,
  ArtifactPage,
  ArtifactStat,
  ByteRange,
  PageRequest,
  PutOptions,
  StoredArtifact,
} from './artifact-store.js';
export { artifactUri, partsOf } from './artifact-uri.js';
export { FileArtifactStore } from './file-artifact-store.js';
export { artifactStoreContract } from './store-contract.js';
export type { TestRunner } from './store-contract.js';
