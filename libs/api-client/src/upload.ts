import type { LuthierClient, Schemas } from './client.js';
import { unwrap } from './api-error.js';

export interface Upload {
  content: Blob;
  filename: string;
  purpose: Schemas['OpenAIFile']['purpose'];
  signal?: AbortSignal;
}

/** Uploads a file; a `File` of the browser or `await fs.openAsBlob(path)` is streamed. @throws ApiError */
export async function uploadFile(client: LuthierClient, upload: Upload): Promise<Schemas['OpenAIFile']> {
  const form = new FormData();
  form.set('purpose', upload.purpose);
  form.set('file', upload.content, upload.filename);
  return unwrap(
    client.POST('/v1/files', {
      // The serialiser replaces the typed body: a browser writes the multipart boundary itself.
      body: { purpose: upload.purpose, file: '' },
      bodySerializer: () => form,
      ...(upload.signal && { signal: upload.signal }),
    }),
  );
}
