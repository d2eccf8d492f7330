import type { ArtifactStore } from '@luthier/artifacts';
import {
  AppError,
  FILE_PURPOSES,
  addFile,
  deleteFile,
  getFile,
  getValidation,
  listFiles,
  readRows,
} from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import { toList } from '../http/openai-list.js';
import { bindRoute } from '../http/route.js';
import type { RouteBinding } from '../http/route.js';
import { presentFile } from './file-presenter.js';
import * as routes from './files.routes.js';
import { receiveUpload } from './upload.js';

export interface FileHandlers {
  bus: MessageBus;
  artifacts: ArtifactStore;
  maxFileBytes: number;
  /** Told of every file that was kept. */
  onUploaded: (sizeBytes: number) => void;
}

const MAX_PAGE = 1000;

export function fileBindings({ bus, artifacts, maxFileBytes, onUploaded }: FileHandlers): RouteBinding[] {
  return [
    bindRoute(routes.createFileRoute, async ({ request, requestId }) => {
      const { stored, expiresAfterSeconds, ...file } = await receiveUpload(request, artifacts, maxFileBytes);
      const { uri, sizeBytes, sha256 } = stored;
      const nowMs = Date.now();
      const createdAt = new Date(nowMs).toISOString();
      const expiresAt =
        expiresAfterSeconds === undefined ? null : new Date(nowMs + expiresAfterSeconds * 1_000).toISOString();
      try {
        const record = { ...file, sizeBytes, sha256, uri, createdAt, expiresAt };
        const kept = presentFile(await bus.request(addFile, record, { requestId }));
        onUploaded(sizeBytes);
        return kept;
      } catch (thrown) {
        // Where no answer came, datasets may have recorded it all the same: then the content has to stay.
        if (!(thrown instanceof AppError && thrown.code === 'request.timeout')) await artifacts.remove(uri);
        throw thrown;
      }
    }),
    bindRoute(routes.listFilesRoute, async ({ query, requestId }) => {
      const purpose = FILE_PURPOSES.find((known) => known === query.purpose);
      // A purpose that OpenAI knows and we have no files of.
      if (query.purpose !== undefined && !purpose) return toList({ items: [], hasMore: false }, presentFile);
      const page = await bus.request(
        listFiles,
        {
          limit: Math.min(query.limit, MAX_PAGE),
          order: query.order,
          ...(query.after !== undefined && { after: query.after }),
          ...(purpose && { purpose }),
        },
        { requestId },
      );
      return toList(page, presentFile);
    }),
    bindRoute(routes.getFileRoute, async ({ params, requestId }) =>
      presentFile(await bus.request(getFile, { fileId: params.file_id }, { requestId })),
    ),
    bindRoute(routes.deleteFileRoute, async ({ params, requestId }) => {
      const { fileId } = await bus.request(deleteFile, { fileId: params.file_id }, { requestId });
      return { id: fileId, object: 'file' as const, deleted: true };
    }),
    bindRoute(routes.getFileContentRoute, async ({ params, request, reply, requestId }) => {
      const file = await bus.request(getFile, { fileId: params.file_id }, { requestId });
      const content = await artifacts.get(file.uri);
      request.raw.once('close', () => content.destroy());
      reply.header('content-length', file.sizeBytes);
      reply.header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(file.filename)}`);
      reply.type('application/octet-stream');
      return content;
    }),
    bindRoute(routes.getValidationRoute, ({ params, requestId }) =>
      bus.request(getValidation, { fileId: params.file_id }, { requestId }),
    ),
    bindRoute(routes.getRowsRoute, ({ params, query, requestId }) =>
      bus.request(readRows, { fileId: params.file_id, ...query }, { requestId }),
    ),
  ];
}
