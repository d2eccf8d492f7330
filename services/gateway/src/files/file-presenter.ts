import type { z } from 'zod';
import type { FileRecord } from '@luthier/contracts';
import { unixSeconds } from '../http/openai-list.js';
import type { fileObject } from '../http/openai-schemas.js';

/** A file as OpenAI's `File`. */
export const presentFile = (file: FileRecord): z.output<typeof fileObject> => ({
  id: file.id,
  object: 'file',
  bytes: file.sizeBytes,
  created_at: unixSeconds(file.createdAt),
  ...(file.expiresAt !== null && { expires_at: unixSeconds(file.expiresAt) }),
  filename: file.filename,
  purpose: file.purpose,
  status: file.status,
  ...(file.statusDetails !== null && { status_details: file.statusDetails }),
});
