import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { ArtifactStore, StoredArtifact } from '@luthier/artifacts';
import { artifactUri } from '@luthier/artifacts';
import { AppError, newId } from '@luthier/contracts';
import { toAppError } from '../http/http-errors.js';
import { parseParameters } from '../http/parse.js';
import { uploadFields } from './files.routes.js';

export interface UploadedFile {
  id: string;
  filename: string;
  purpose: (typeof uploadFields.shape.purpose)['_zod']['output'];
  /** Undefined: kept until it is deleted. */
  expiresAfterSeconds: number | undefined;
  stored: StoredArtifact;
}

const MAX_FIELDS = 16;
const MAX_FIELD_BYTES = 4096;
/** An upload that sends nothing for so long has ended, whatever its connection says. */
const IDLE_TIMEOUT_MS = 60_000;

/**
 * Streams the one file of a multipart request into the store, in whatever order the fields come. Whatever goes wrong,
 * the client leaving included, nothing of it stays.
 * @throws AppError `request.invalid` (no file, two files, a bad field), `request.too-large`, `disk.full`.
 */
export async function receiveUpload(
  request: FastifyRequest,
  store: ArtifactStore,
  maxSizeBytes: number,
): Promise<UploadedFile> {
  if (!request.isMultipart()) {
    throw new AppError('request.invalid', 'Send the file as multipart/form-data', { param: 'file' });
  }
  request.raw.socket.setTimeout(IDLE_TIMEOUT_MS, () => request.raw.destroy());
  const id = newId('file');
  const uri = artifactUri('files', id, 'content');
  try {
    const { file, fields } = await readParts(request, (content) => store.put(uri, content, { maxSizeBytes }));
    if (!file) throw new AppError('request.invalid', 'The field "file" is missing', { param: 'file' });
    const { purpose, expires_after: expires } = parseParameters(uploadFields, Object.fromEntries(fields));
    return { id, filename: file.filename, purpose, expiresAfterSeconds: expires?.seconds, stored: file.stored };
  } catch (thrown) {
    await store.remove(uri);
    throw isOurs(thrown)
      ? thrown
      : new AppError('request.invalid', 'The upload is incomplete or broken', { cause: thrown });
  } finally {
    request.raw.socket.setTimeout(0);
  }
}

/** Whether an error has a name of ours or comes from the system; the multipart parser's own have neither. */
const isOurs = (thrown: unknown): boolean =>
  toAppError(thrown).code !== 'internal' || (thrown instanceof Error && 'syscall' in thrown);

interface Parts {
  file?: { filename: string; stored: StoredArtifact };
  fields: Map<string, string>;
}

async function readParts(
  request: FastifyRequest,
  keep: (content: MultipartFile['file']) => Promise<StoredArtifact>,
): Promise<Parts> {
  const parts: Parts = { fields: new Map() };
  // The size is bounded by the store, which counts; busboy would cut the file in silence.
  const limits = { files: 1, fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES, fileSize: Number.MAX_SAFE_INTEGER };
  for await (const part of request.parts({ limits })) {
    if (part.type === 'field') {
      parts.fields.set(part.fieldname, String(part.value));
    } else if (part.fieldname === 'file' && !parts.file) {
      parts.file = { filename: cleanName(part.filename), stored: await keep(part.file) };
    } else {
      part.file.resume();
      throw new AppError('request.invalid', `The file field "${part.fieldname}" is not known`, {
        param: part.fieldname,
      });
    }
  }
  return parts;
}

/** The last part of a path, without control characters: a name to show, never one to open. */
function cleanName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? '';
  // eslint-disable-next-line no-control-regex -- control characters are what is removed
  return last.replace(/[\u0000-\u001f\u007f]/g, '').slice(0, 255) || 'file';
}
