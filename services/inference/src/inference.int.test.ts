import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FileArtifactStore } from '@luthier/artifacts';
import { AppError, generateAnswers, getModel, newId } from '@luthier/contracts';
import type { ArtifactRef, ChatMessage, ModelRecord } from '@luthier/contracts';
import { LlamaEngine } from '@luthier/llama-cpp';
import { MessageBus } from '@luthier/messaging';
import { bootstrap, loadConfig } from '@luthier/service-kit';
import type { RunningService } from '@luthier/service-kit';
import { startNats, tempDir, waitFor } from '@luthier/testing';
import type { TestNats } from '@luthier/testing';
import { writeTinyAdapter, writeTinyChatModel } from '../../../test/fixtures/tiny-llama.js';
import { InferenceModule, inferenceConfigSchema } from './index.js';
import type { InferenceConfig } from './index.js';

let nats: TestNats;
let bus: MessageBus;
let home: string;
let config: InferenceConfig;
let service: RunningService | undefined;
/** What the registry knows. */
const models = new Map<string, { model: ModelRecord; base: ModelRecord | null }>();

const record = (name: string, change: Partial<ModelRecord>): ModelRecord => ({
  id: newId('model'),
  name,
  kind: 'base',
  state: 'ready',
  createdAt: new Date().toISOString(),
  title: name,
  license: null,
  languages: [],
  shape: null,
  files: null,
  sizeBytes: null,
  gives: 'answers',
  baseModelId: null,
  jobId: null,
  source: null,
  sourcesTried: [],
  proof: 'unproven',
  proofReason: null,
  error: null,
  ...change,
});
/** A folder of the artifact store that `write` fills. */
async function stored(digit: string, write: (dir: string) => Promise<unknown>): Promise<ArtifactRef> {
  const uri = `artifact://models/${newId('model')}/weights`;
  const dir = new FileArtifactStore(join(home, 'artifacts')).localPath(uri);
  await write(dir);
  return { uri, sha256: digit.repeat(64) };
}

const start = async (change: Partial<InferenceConfig> = {}): Promise<RunningService> => {
  const changed = { ...config, ...change };
  service = await bootstrap(InferenceModule.forConfig(changed), changed);
  return service;
};
const user = (content: string): ChatMessage[] => [{ role: 'user', content }];
const ask = (model: string, contents: string[], sampling: { maxTokens?: number; stop?: string[] } = {}) =>
  bus.request(generateAnswers, {
    model,
    conversations: contents.map(user),
    sampling: { maxTokens: 12, temperature: 0, ...sampling },
  });
/** Mappings of converted models in this process: what is counted in its memory. */
const mapped = async (): Promise<string[]> =>
  (await readFile('/proc/self/maps', 'utf8')).split('\n').filter((line) => line.includes(`${home}/work/gguf/base-`));
const ggufFiles = (): Promise<string[]> => readdir(join(home, 'work/gguf')).catch(() => []);

beforeAll(async () => {
  [nats, home] = await Promise.all([startNats(), tempDir('inference')]);
  const connection = await nats.connect();
  bus = new MessageBus(connection);
  config = loadConfig(
    inferenceConfigSchema,
    {},
    {
      natsUrl: nats.url,
      logLevel: 'silent',
      artifacts: pathToFileURL(join(home, 'artifacts')).href,
      workDir: join(home, 'work'),
      threads: 1,
      sequences: 3,
    },
  );
  connection.subscribe(getModel.subject, {
    callback: (_error, message) => {
      const { data, id } = message.json<{ data: { model: string }; id: string }>();
      const response = models.get(data.model);
      message.respond(
        JSON.stringify({
          id,
          isDisposed: true,
          ...(response ? { response } : { err: new AppError('model.not-found').toReply() }),
        }),
      );
    },
  });
  await connection.flush();
  const weights = await stored('a', (dir) => writeTinyChatModel(dir));
  const base = record('tiny', { files: { form: 'whole', weights } });
  models.set('tiny', { model: base, base: null });
  const modelDir = new FileArtifactStore(join(home, 'artifacts')).localPath(weights.uri);
  expect(await readdir(modelDir)).toContain('config.json');
  const adapter = await stored('b', async (dir) => writeTinyAdapter(dir, await writeTinyChatModel(`${dir}-unused`)));
  const files = { form: 'adapter' as const, adapter };
  models.set('ft:tiny', { model: record('ft:tiny', { kind: 'tuned', files, baseModelId: base.id }), base });
});

afterEach(async () => {
  await service?.stop();
  service = undefined;
});
afterAll(async () => nats?.stop());

describe('answers', () => {
  it('come from base and tuned over one loaded model, in order, the same each time', async () => {
    await start();
    const questions = Array.from({ length: 8 }, (_, i) => `hello ${'x'.repeat(i)}`);
    const base = await ask('tiny', questions);
    const tuned = await ask('ft:tiny', questions);
    expect(base.modelId).toBe(models.get('tiny')?.model.id);
    expect(tuned.modelId).toBe(models.get('ft:tiny')?.model.id);
    expect(base.answers.map(({ promptTokens }) => promptTokens)).toEqual(
      base.answers.map((_, i) => (base.answers[0]?.promptTokens ?? 0) + i),
    );
    expect(tuned.answers.map(({ text }) => text)).not.toEqual(base.answers.map(({ text }) => text));
    expect((await ask('tiny', questions)).answers).toEqual(base.answers);
    expect(await mapped()).toHaveLength(1);
    expect((await ggufFiles()).sort()).toEqual([
      expect.stringMatching(/^adapter-.*b{64}\.gguf$/),
      expect.stringMatching(/^base-.*a{64}\.gguf$/),
    ]);
  });

  it('come from a whole model by its own weights, with the base there or gone', async () => {
    await start();
    const questions = ['hello', 'help'];
    const base = await ask('tiny', questions);
    const weights = await stored('d', (dir) => writeTinyChatModel(dir, {}, 7));
    const whole = record('ft:whole', { kind: 'tuned', files: { form: 'whole', weights }, baseModelId: 'model-gone' });
    models.set('ft:whole', { model: whole, base: null });
    const tuned = await ask('ft:whole', questions);
    expect(tuned.modelId).toBe(whole.id);
    expect(tuned.answers.map(({ text }) => text)).not.toEqual(base.answers.map(({ text }) => text));
    expect((await ask('tiny', questions)).answers).toEqual(base.answers);
    expect((await ask('ft:whole', questions)).answers).toEqual(tuned.answers);
    expect(await ggufFiles()).toContainEqual(expect.stringMatching(/^base-.*d{64}\.gguf$/));
    expect(await mapped()).toHaveLength(1); // never two models in memory
  });

  it('say why they ended, and stop before a stop sequence', async () => {
    await start();
    const [long] = (await ask('tiny', ['hello'], { maxTokens: 40 })).answers;
    expect(long).toMatchObject({ finishReason: 'length', completionTokens: 40 });
    const text = long?.text ?? '';
    const stop = [...text].slice(4, 7).join('');
    const [cut] = (await ask('tiny', ['hello'], { maxTokens: 40, stop: [stop] })).answers;
    expect(cut).toMatchObject({ finishReason: 'stop', text: text.slice(0, text.indexOf(stop)) });
  });

  it('may fill the context exactly; one token more is refused before anything is computed', async () => {
    await start();
    const [short] = (await ask('tiny', ['hi'])).answers;
    const room = 512 - (short?.promptTokens ?? 0);
    expect((await ask('tiny', ['hi'], { maxTokens: room })).answers[0]?.completionTokens).toBeLessThanOrEqual(room);
    await expect(ask('tiny', ['hi'], { maxTokens: room + 1 })).rejects.toMatchObject({
      code: 'request.invalid',
      param: 'messages',
    });
    await expect(ask('tiny', ['hi', 'x'.repeat(600)])).rejects.toMatchObject({ code: 'request.invalid' });
    expect((await ask('tiny', ['hi'])).answers).toEqual([short]); // a context that had to grow answers the same
  });

  it('are refused for a model that is not there or gives points, never given by the base instead', async () => {
    await start();
    await expect(ask('ft:tiny:unknown', ['hi'])).rejects.toMatchObject({ code: 'model.not-found' });
    models.set('orphan', {
      model: record('orphan', {
        kind: 'tuned',
        files: { form: 'adapter', adapter: { uri: 'artifact://models/x/adapter', sha256: 'c'.repeat(64) } },
      }),
      base: null,
    });
    await expect(ask('orphan', ['hi'])).rejects.toMatchObject({ code: 'model.not-found' });
    models.set('judge', { model: record('judge', { kind: 'tuned', gives: 'points' }), base: null });
    await expect(ask('judge', ['hi'])).rejects.toMatchObject({ code: 'model.unsupported', param: 'model' });
    models.set('new', { model: record('new', { state: 'importing' }), base: null });
    await expect(ask('new', ['hi'])).rejects.toMatchObject({ code: 'model.not-ready', param: 'model' });
    expect(service?.app.get(LlamaEngine).isLoaded).toBe(false);
  });

  it('are refused clearly when too many wait', async () => {
    await start({ maxWaiting: 2, sequences: 1 });
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => ask('tiny', ['hi'], { maxTokens: 200 })));
    const refused = all.filter((one) => one.status === 'rejected');
    expect(all.length - refused.length).toBeGreaterThanOrEqual(2);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    for (const one of refused) expect(one.reason).toMatchObject({ code: 'request.rate-limited' });
  });
});

describe('the memory of a model', () => {
  it('is freed when nobody asks for a while, and taken again by the next request', async () => {
    const { app } = await start({ idleUnloadMs: 100 });
    const before = await ask('ft:tiny', ['hello']);
    await waitFor(async () => !app.get(LlamaEngine).isLoaded && (await mapped()).length === 0);
    expect(await ask('ft:tiny', ['hello'])).toEqual(before);
  });

  it('is freed at a stop, which ends what is being generated', async () => {
    const running = await start({ sequences: 1 });
    const endless = ask(
      'tiny',
      Array.from({ length: 32 }, () => 'hello'),
      { maxTokens: 480 },
    );
    const refused = expect(endless).rejects.toMatchObject({ code: 'service.unavailable' });
    await waitFor(() => running.app.get(LlamaEngine).isLoaded);
    await running.stop();
    await refused;
    expect(await mapped()).toEqual([]);
  });
});

describe('converted files', () => {
  it('are used again by the next process, which removes what a killed one left unfinished', async () => {
    await start();
    await ask('ft:tiny', ['hi']);
    await service?.stop();
    const dir = join(home, 'work/gguf');
    const made = await Promise.all((await ggufFiles()).map((name) => stat(join(dir, name))));
    await writeFile(join(dir, `base-v2-${'d'.repeat(64)}.gguf.0123.tmp`), 'half');
    await start();
    await ask('ft:tiny', ['hi']);
    const now = await Promise.all((await ggufFiles()).map((name) => stat(join(dir, name))));
    expect(now.map(({ ino }) => ino)).toEqual(made.map(({ ino }) => ino));
  });

  it('are not left behind by a conversion that fails, and the reason is told', async () => {
    await start();
    const before = await ggufFiles();
    const broken = await stored('e', async (dir) => {
      await writeTinyChatModel(dir);
      const path = join(dir, 'model.safetensors');
      await writeFile(path, (await readFile(path)).subarray(0, -100));
    });
    models.set('broken', { model: record('broken', { files: { form: 'whole', weights: broken } }), base: null });
    models.set('gone', {
      model: record('gone', {
        files: { form: 'whole', weights: { uri: 'artifact://models/gone/weights', sha256: 'f'.repeat(64) } },
      }),
      base: null,
    });
    await expect(ask('broken', ['hi'])).rejects.toMatchObject({ code: 'model.unreadable' });
    await expect(ask('gone', ['hi'])).rejects.toMatchObject({ code: 'model.unreadable' });
    expect(await ggufFiles()).toEqual(before);
    expect((await ask('tiny', ['hi'])).answers).toHaveLength(1); // the next request is answered
  });
});

describe('metrics', () => {
  it('count generated tokens and requests in the queue', async () => {
    const { url } = await start();
    await ask('tiny', ['hi'], { maxTokens: 5 });
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toMatch(/luthier_inference_generated_tokens_total(\{[^}]*\})? [1-5]\n/);
    expect(text).toMatch(/luthier_inference_requests_in_queue(\{[^}]*\})? 0\n/);
  });
});
