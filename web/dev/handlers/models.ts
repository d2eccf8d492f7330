import { TUNED_ID, id } from '../fixtures/ids.js';
import { catalog, models } from '../fixtures/models.js';
import { Refusal, found, page } from './call.js';
import type { Handler } from './call.js';

export const MODEL_HANDLERS: Record<string, Handler> = {
  'GET /api/v1/models': ({ state }) => page(state.models),
  'POST /api/v1/models': ({ state, body }) => {
    const { model } = JSON.parse(body) as { model: string };
    const entry = found(
      catalog.find((e) => e.name === model),
      'model',
    );
    const base = found(models[1], 'model');
    const added = {
      ...base,
      id: id('model-', `im${state.models.length}`),
      name: entry.name,
      title: entry.title,
    };
    state.models.push(added);
    return added;
  },
  'GET /api/v1/models/*': ({ state, parts }) => {
    const model = found(
      state.models.find((m) => m.id === decodeURIComponent(parts[3] ?? '')),
      'model',
    );
    return { model, base: state.models.find((m) => m.id === model.base_model_id) ?? null };
  },
  'POST /api/v1/models/*/exports/*': ({ state, parts }) => {
    const answer = state.exports.ask(parts[3] ?? '', parts[5] ?? '');
    if (answer) return answer;
    throw new Refusal(507, 'disk.full', 'The disk is full: 270 MB are missing.', 'Free some space, then try again.');
  },
  'GET /api/v1/models/*/exports/*/*': ({ state, parts, response }) => {
    const bytes = found(state.exports.content(parts[5] ?? '', parts[6] ?? ''), 'file');
    const headers = { 'content-type': 'application/octet-stream', 'content-length': bytes.length };
    response.writeHead(200, { ...headers, 'content-disposition': 'attachment' }).end(bytes);
    return undefined;
  },
  'GET /api/v1/catalog': () => ({ entries: catalog }),
  'POST /v1/chat/completions': async ({ body }) => {
    const { model } = JSON.parse(body) as { model: string };
    const tuned = model === TUNED_ID;
    await new Promise((resolve) => setTimeout(resolve, 60));
    const content = tuned ? 'Within 45 days, and we pay the way back.' : 'It depends on the shop; please ask there.';
    return {
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 31, completion_tokens: tuned ? 12 : 11, total_tokens: 43 },
    };
  },
};
