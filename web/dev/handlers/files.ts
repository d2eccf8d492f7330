import { datasets, files, reports, rows } from '../fixtures/files.js';
import { TRAIN_FILE, id } from '../fixtures/ids.js';
import { Refusal, found, list, page } from './call.js';
import type { Handler } from './call.js';

export const FILE_HANDLERS: Record<string, Handler> = {
  'GET /v1/files': ({ state }) => list(state.files),
  'POST /v1/files': ({ state }) => {
    const file = found(files[0], 'file');
    const added = { ...file, id: id('file-', `up${state.files.length}`), filename: 'uploaded.jsonl' };
    state.files.unshift(added);
    return added;
  },
  'GET /v1/files/*': ({ state, parts }) =>
    found(
      state.files.find((file) => file.id === parts[2]),
      'file',
    ),
  'DELETE /v1/files/*': () => {
    throw new Refusal(409, 'file.in-use', 'The file is in use', 'Cancel the job that reads it first.');
  },
  'GET /api/v1/files/*/validation': ({ parts }) =>
    reports[parts[3] ?? ''] ?? { ...reports[TRAIN_FILE], file_id: parts[3] },
  'GET /api/v1/files/*/rows': ({ parts, url }) => {
    const all = rows(parts[3] ?? '');
    const offset = Number(url.searchParams.get('offset') ?? 0);
    const shown = all.slice(offset, offset + Number(url.searchParams.get('limit') ?? 50));
    return { rows: shown, total: all.length, next_offset: offset + shown.length };
  },
  'GET /api/v1/datasets': ({ state }) => page(state.empty ? [] : datasets),
  'GET /api/v1/datasets/*': ({ parts }) =>
    found(
      datasets.find((d) => d.id === parts[3]),
      'dataset',
    ),
};
