import { z } from 'zod';
import { FILE_PURPOSES, readRows, validationReport } from '@luthier/contracts';
import { fileDeleted, fileObject, listOf } from '../http/openai-schemas.js';
import { defineRoute } from '../http/route.js';

const byFile = z.object({ file_id: z.string() });

/** The fields of an upload, in any order beside the file itself. */
export const uploadFields = z.object({
  purpose: z.enum(FILE_PURPOSES),
  expires_after: z
    .object({ anchor: z.literal('created_at'), seconds: z.coerce.number().int().min(3600).max(2592000) })
    .optional()
    .describe('The file is deleted so long after its upload, or when the last job that uses it has ended'),
});

export const createFileRoute = defineRoute({
  id: 'createFile',
  method: 'POST',
  path: '/v1/files',
  tag: 'Files',
  summary: 'Upload a file',
  description: 'At most 512 MB. Validation of training files starts at once.',
  multipart: true,
  body: uploadFields.extend({ file: z.file() }),
  answer: { status: 200, description: 'The file', schema: fileObject },
  errors: ['disk.full', 'storage.unreachable'],
});
export const listFilesRoute = defineRoute({
  id: 'listFiles',
  method: 'GET',
  path: '/v1/files',
  tag: 'Files',
  summary: 'List files',
  query: z.object({
    after: z.string().optional(),
    limit: z.int().min(1).max(10_000).default(10_000).describe('An answer holds at most 1000; `has_more` tells'),
    order: z.enum(['asc', 'desc']).default('desc'),
    purpose: z.string().optional(),
  }),
  answer: { status: 200, description: 'A page of files', schema: listOf(fileObject) },
});
export const getFileRoute = defineRoute({
  id: 'getFile',
  method: 'GET',
  path: '/v1/files/{file_id}',
  tag: 'Files',
  summary: 'Read a file record',
  params: byFile,
  answer: { status: 200, description: 'The file', schema: fileObject },
  errors: ['file.not-found'],
});
export const deleteFileRoute = defineRoute({
  id: 'deleteFile',
  method: 'DELETE',
  path: '/v1/files/{file_id}',
  tag: 'Files',
  summary: 'Delete a file',
  params: byFile,
  answer: { status: 200, description: 'It is gone', schema: fileDeleted },
  errors: ['file.not-found', 'file.in-use'],
});
export const getFileContentRoute = defineRoute({
  id: 'getFileContent',
  method: 'GET',
  path: '/v1/files/{file_id}/content',
  tag: 'Files',
  summary: 'Read the bytes of a file',
  params: byFile,
  answer: { status: 200, description: 'The bytes as they were uploaded', contentType: 'application/octet-stream' },
  errors: ['file.not-found', 'storage.unreachable'],
});
export const getValidationRoute = defineRoute({
  id: 'getFileValidation',
  method: 'GET',
  path: '/api/v1/files/{file_id}/validation',
  tag: 'Data',
  summary: 'What is right and wrong with the rows of a file',
  params: byFile,
  answer: { status: 200, description: 'The report', schema: validationReport },
  errors: ['file.not-found'],
});
export const getRowsRoute = defineRoute({
  id: 'getFileRows',
  method: 'GET',
  path: '/api/v1/files/{file_id}/rows',
  tag: 'Data',
  summary: 'Read usable rows of a file',
  params: byFile,
  query: z.object({ offset: z.int().nonnegative().default(0), limit: z.int().min(1).max(200).default(50) }),
  answer: { status: 200, description: 'Rows, format differences removed', schema: readRows.response },
  errors: ['file.not-found', 'file.unusable'],
});

export const FILE_ROUTES = [
  createFileRoute,
  listFilesRoute,
  getFileRoute,
  deleteFileRoute,
  getFileContentRoute,
  getValidationRoute,
  getRowsRoute,
] as const;
