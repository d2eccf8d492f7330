export { createClient } from './client.js';
export type { ApiPaths, ClientOptions, LuthierClient, Schemas } from './client.js';
export { ApiError, toApiError, unwrap } from './api-error.js';
export type { components, operations, paths } from './schema.generated.js';
export { uploadFile } from './upload.js';
export type { Upload } from './upload.js';
