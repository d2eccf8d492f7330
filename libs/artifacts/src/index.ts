export { ArtifactStore, readArtifact } from './artifact-store.js';
export type {
  ArtifactContent,
  ArtifactPage,
  ArtifactStat,
  ByteRange,
  PageRequest,
  PutOptions,
  StoredArtifact,
  UrlOptions,
} from './artifact-store.js';
export { artifactUri, partsOf } from './artifact-uri.js';
export { FileArtifactStore } from './file-artifact-store.js';
export { artifactStoreUrl, folderOfStore, openArtifactStore } from './open-store.js';
export { artifactStoreContract } from './store-contract.js';
export type { TestRunner } from './store-contract.js';
export { LocalFolders } from './local-folders.js';
