import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  ROWS_PAGE_BYTES_MAX,
  addFile,
  deleteFile,
  getDataset,
  getFile,
  getValidation,
  listFiles,
  newId,
  prepareDataset,
  readRows,
} from '@luthier/contracts';
import type { ArtifactRef, DatasetRecord, FileRecord, RequestOf } from '@luthier/contracts';
import { FileArtifactStore } from '@luthier/artifacts';
import { openPreparedDataset } from '@luthier/formats';
import { MessageBus, provision } from '@luthier/messaging';
import { loadConfig } from '@luthier/service-kit';
import type { RunningService } from '@luthier/service-kit';
import { startNats, startPostgres, tempDir, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres } from '@luthier/testing';
import { datasetsConfigSchema, startDatasets } from './index.js';
import type { DatasetsConfig } from './index.js';
import { FakeTraining } from './testing/fake-training.js';
import { TINY_END, TINY_START, putTinyTokenizer } from './testing/tiny-tokenizer.js';

let nats: TestNats;
let postgres: TestPostgres;
let database: TestDatabase;
let config: DatasetsConfig;
let service: RunningService;
let bus: MessageBus;
let store: FileArtifactStore;
let model: ArtifactRef;
let training: FakeTraining;

beforeAll(async () => {
  [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
  database = await postgres.createDatabase();
  const home = await tempDir('datasets');
  const connection = await nats.connect({ inboxPrefix: '_INBOX.gateway' });
  await provision(connection);
  bus = new MessageBus(connection);
  config = loadConfig(datasetsConfigSchema, {
    LUTHIER_NATS_URL: nats.url,
    LUTHIER_DATABASE_URL: database.url,
    LUTHIER_ARTIFACTS: pathToFileURL(join(home, 'artifacts')).href,
    LUTHIER_WORK_DIR: join(home, 'work'),
    LUTHIER_LOG_LEVEL: 'silent',
    LUTHIER_DATASETS_EXPIRY_LOOK_MS: '100',
  });
  store = new FileArtifactStore(join(home, 'artifacts'));
  model = await putTinyTokenizer(store, `artifact://models/${newId('model')}/weights`);
  training = new FakeTraining(connection);
  await training.start();
  service = await startDatasets(config);
});

afterAll(async () => {
  await service?.stop();
  await database?.drop();
  await postgres?.stop();
  await nats?.stop();
});

async function upload(
  content: string,
  { filename = 'rows.jsonl', expiresAt = null as string | null } = {},
): Promise<FileRecord> {
  const id = newId('file');
  const { uri, sizeBytes, sha256 } = await store.put(`artifact://files/${id}/content`, content);
  const createdAt = new Date().toISOString();
  return bus.request(addFile, { id, filename, purpose: 'fine-tune', sizeBytes, sha256, uri, createdAt, expiresAt });
}
const validated = (fileId: string): Promise<FileRecord> =>
  waitFor(async () => {
    const file = await bus.request(getFile, { fileId });
    return file.status === 'uploaded' ? undefined : file;
  });
const rows = (count: number, label = 'q'): string =>
  Array.from(
    { length: count },
    (_, i) => `${JSON.stringify({ instruction: `${label}${i}`, input: '', output: `a${i}` })}\n`,
  ).join('');
const order = (fileIds: string[], more: object = {}): RequestOf<typeof prepareDataset> => ({
  role: 'train',
  fileIds,
  model,
  cutoffLength: 256,
  kind: 'sft',
  seed: 7,
  ...more,
});
const prepared = (datasetId: string): Promise<DatasetRecord> =>
  waitFor(async () => {
    const dataset = await bus.request(getDataset, { datasetId });
    return dataset.state === 'preparing' ? undefined : dataset;
  });

/** The same format, written down a second time: ChatML over bytes. */
function naiveRow(question: string, answer: string): { tokens: number[]; trained: number[]; promptLength: number } {
  const turn = (role: string): number[] => [TINY_START, ...Buffer.from(`${role}\n`)];
  const end = [TINY_END, ...Buffer.from('\n')];
  const prompt = [...turn('user'), ...Buffer.from(question), ...end, ...turn('assistant')];
  const tokens = [...prompt, ...Buffer.from(answer), ...end];
  const trained = tokens.map((_, i) => (i >= prompt.length && i < tokens.length - 1 ? 1 : 0));
  return { tokens, trained, promptLength: prompt.length };
}

describe('files', () => {
  it('validates in the background, announces it, and pages the usable rows', async () => {
    const { id } = await upload(`${rows(3)}{broken\n${rows(2, 'z')}`);
    expect(await validated(id)).toMatchObject({ status: 'processed' });
    expect(await bus.request(getValidation, { fileId: id })).toMatchObject({ state: 'done', rows: 6, usableRows: 5 });
    const page = await bus.request(readRows, { fileId: id, offset: 2, limit: 2 });
    expect(page.total).toBe(5);
    expect(page.rows.map(({ line }) => line)).toEqual([3, 5]);
  });

  it('bounds a page by bytes, and leaves out a row that no message can carry', async () => {
    const row = (output: string): string => `${JSON.stringify({ instruction: 'q', output })}\n`;
    const { id } = await upload(`${row('长'.repeat(4_000)).repeat(99)}${row('x'.repeat(600_000))}${row('end')}`);
    await validated(id);
    const lines: number[] = [];
    for (let offset = 0, total = 1; offset < total;) {
      const page = await bus.request(readRows, { fileId: id, offset, limit: 200 });
      expect(Buffer.byteLength(JSON.stringify(page.rows))).toBeLessThanOrEqual(ROWS_PAGE_BYTES_MAX + 1);
      lines.push(...page.rows.map(({ line }) => line));
      expect(page.nextOffset).toBeGreaterThan(offset);
      [offset, total] = [page.nextOffset, page.total];
    }
    expect(lines).toEqual([...Array.from({ length: 99 }, (_, i) => i + 1), 101]);
  });

  it('adds a file once however often it is asked', async () => {
    const file = await upload(rows(1));
    const { status: _status, statusDetails: _details, ...request } = file;
    await bus.request(addFile, request);
    const { items } = await bus.request(listFiles, { limit: 1000 });
    expect(items.filter(({ id }) => id === file.id)).toHaveLength(1);
  });

  it('gives a file without a usable row the status error and the reason', async () => {
    const { id } = await upload('nothing\n');
    expect(await validated(id)).toMatchObject({ status: 'error', statusDetails: expect.stringContaining('not JSON') });
    await expect(bus.request(readRows, { fileId: id })).rejects.toMatchObject({ code: 'file.unusable' });
  });

  it('takes up a validation that a restart interrupted', async () => {
    const { id } = await upload(rows(200_000));
    await service.stop();
    service = await startDatasets(config);
    await validated(id);
    expect(await bus.request(getValidation, { fileId: id })).toMatchObject({ rows: 200_000, usableRows: 200_000 });
  });

  it('deletes a file when its time has passed, one that a job uses after that job, and no other', async () => {
    const past = new Date(Date.now() - 1_000).toISOString();
    const future = new Date(Date.now() + 3_600_000).toISOString();
    const used = newId('file');
    training.users.set(used, [newId('job')]);
    const { uri, sizeBytes, sha256 } = await store.put(`artifact://files/${used}/content`, rows(1));
    const file = { filename: 'a.jsonl', purpose: 'fine-tune' as const, sizeBytes, sha256, uri, createdAt: past };
    await bus.request(addFile, { ...file, id: used, expiresAt: past });
    const [expired, later, kept] = [
      await upload(rows(1), { expiresAt: past }),
      await upload(rows(1), { expiresAt: future }),
      await upload(rows(1)),
    ];
    const gone = (fileId: string): Promise<boolean> =>
      bus.request(getFile, { fileId }).then(
        () => false,
        (thrown: { code?: string }) => thrown.code === 'file.not-found',
      );
    await waitFor(() => gone(expired.id));
    await waitFor(async () => !(await readdir(store.localPath('artifact://files'))).includes(expired.id));
    expect(await bus.request(getFile, { fileId: later.id })).toMatchObject({ expiresAt: future });
    expect([await gone(used), await gone(later.id), await gone(kept.id)]).toEqual([false, false, false]);
    training.users.delete(used);
    await waitFor(() => gone(used));
  });

  it('answers file.not-found for what is not there', async () => {
    await expect(bus.request(getFile, { fileId: 'file-x' })).rejects.toMatchObject({ code: 'file.not-found' });
  });
});

describe('preparation', () => {
  it('stores what a second, naive implementation gives, and answers the same order with the same dataset', async () => {
    const { id } = await upload(rows(5));
    const first = await bus.request(prepareDataset, order([id]));
    const done = await prepared(first.id);
    expect(done).toMatchObject({
      state: 'ready',
      rows: 5,
      sources: [{ rows: 5, usedRows: 5, droppedRows: 0, cutRows: 0 }],
    });
    const dataset = await openPreparedDataset(store.localPath(`artifact://datasets/${done.id}`));
    for (let i = 0; i < 5; i += 1) {
      const row = await dataset.row(i);
      const naive = naiveRow(`q${i}`, `a${i}`);
      expect({ ...naive }).toEqual({
        tokens: [...row.tokens],
        trained: [...row.trained],
        promptLength: row.promptLength,
      });
      expect(row.sourceLine).toBe(i + 1);
    }
    await dataset.close();
    expect(done.longestRowTokens).toBe(naiveRow('q0', 'a0').tokens.length);
    expect((await bus.request(prepareDataset, order([id]))).id).toBe(done.id);
    expect((await bus.request(prepareDataset, order([id], { cutoffLength: 200 }))).id).not.toBe(done.id);
  });

  it('stores a pair as two rows with one prompt, cuts answers alone, and counts pairs', async () => {
    const pair = (prompt: string, chosen: string, rejected: string): string =>
      `${JSON.stringify({ prompt, chosen, rejected })}\n`;
    const { id } = await upload(
      [
        pair('q', 'good', 'bad'),
        pair('x'.repeat(300), 'cut off', 'with its prompt'),
        pair('q', 'a'.repeat(300), 'b'),
        // What tells the answers apart is beyond the cut.
        pair('q', `${'a'.repeat(300)}good`, `${'a'.repeat(300)}bad`),
        '{"prompt":"q","chosen":"same","rejected":"same"}\n',
      ].join(''),
    );
    const done = await prepared((await bus.request(prepareDataset, order([id], { kind: 'preference' }))).id);
    expect(done).toMatchObject({ state: 'ready', kind: 'preference', rows: 2, longestRowTokens: 256 });
    expect(done.sources).toMatchObject([{ rows: 5, usedRows: 2, droppedRows: 3, cutRows: 1 }]);
    expect(done.longestPassTokens).toBe(256 + naiveRow('q', 'b').tokens.length);
    const dataset = await openPreparedDataset(store.localPath(`artifact://datasets/${done.id}`));
    expect(dataset.manifest).toMatchObject({ kind: 'preference', rows: 4, sources: [{ droppedRows: 6, cutRows: 1 }] });
    for (const [i, answer] of ['good', 'bad'].entries()) {
      const { tokens, trained, promptLength, sourceLine } = await dataset.row(i);
      expect({ tokens: [...tokens], trained: [...trained], promptLength }).toEqual(naiveRow('q', answer));
      expect(sourceLine).toBe(1);
    }
    expect((await dataset.row(3)).sourceLine).toBe(3);
    await dataset.close();
  });

  it('keeps a prompt that answers begin to run into the same for both', async () => {
    const { id } = await upload(`${JSON.stringify({ prompt: 'q', chosen: ' \n yes', rejected: '\n\n no' })}\n`);
    const done = await prepared((await bus.request(prepareDataset, order([id], { kind: 'preference' }))).id);
    expect(done).toMatchObject({ state: 'ready', rows: 1 });
  });

  it('stores ratings with their labels, and learns no earlier answer of the conversation', async () => {
    const turns = (answer: string): object[] => [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'earlier' },
      { role: 'user', content: 'b' },
      { role: 'assistant', content: answer },
    ];
    const rating = (answer: string, label: boolean): string =>
      `${JSON.stringify({ messages: turns(answer), label })}\n`;
    const { id } = await upload(`${rating('good', true)}${rating('poor', false)}`);
    const done = await prepared((await bus.request(prepareDataset, order([id], { kind: 'kto' }))).id);
    const dataset = await openPreparedDataset(store.localPath(`artifact://datasets/${done.id}`));
    const rowsRead = [await dataset.row(0), await dataset.row(1)];
    expect(rowsRead.map(({ label }) => label)).toEqual([1, 0]);
    for (const { trained, tokens, promptLength } of rowsRead) {
      expect([...trained.subarray(promptLength)].reduce((sum, flag) => sum + flag, 0)).toBe('good'.length + 1);
      expect([...trained.subarray(0, promptLength)]).toEqual(Array(promptLength).fill(0));
      expect(done.longestPassTokens).toBe(tokens.length);
    }
    await dataset.close();
    const page = await bus.request(readRows, { fileId: id });
    expect(page.rows.map(({ desirable }) => desirable)).toEqual([true, false]);
  });

  it('stores prompts with what their answers are judged by, and leaves out those that are too long', async () => {
    const prompt = (content: string, answer: string): string =>
      `${JSON.stringify({ messages: [{ role: 'user', content }], answer })}\n`;
    const { id } = await upload(`${prompt('a', 'x')}${prompt('b'.repeat(900), 'y')}${prompt('c', 'é')}`);
    const done = await prepared((await bus.request(prepareDataset, order([id], { kind: 'prompts' }))).id);
    expect(done).toMatchObject({ state: 'ready', rows: 2, trainedTokens: 0 });
    expect(done.sources).toMatchObject([{ rows: 3, usedRows: 2, droppedRows: 1, cutRows: 0 }]);
    const dir = store.localPath(`artifact://datasets/${done.id}`);
    const dataset = await openPreparedDataset(dir);
    const row = await dataset.row(1);
    expect(row).toMatchObject({ sourceLine: 3, promptLength: row.tokens.length });
    expect([...row.trained]).toEqual(Array(row.tokens.length).fill(0));
    await dataset.close();
    const items = await readFile(join(dir, 'items-00000.jsonl'));
    expect(items.toString()).toBe('{"answer":"x"}\n{"answer":"é"}\n');
    const sha256 = createHash('sha256').update(items).digest('hex');
    expect(dataset.manifest.shards).toMatchObject([{ rows: 2, items: { file: 'items-00000.jsonl', sha256 } }]);
    const page = await bus.request(readRows, { fileId: id });
    expect(page.rows.map(({ item }) => item)).toEqual([{ answer: 'x' }, { answer: 'y' }, { answer: 'é' }]);
  });

  it('splits long texts into rows of one length and learns where they end', async () => {
    const { id } = await upload(`${JSON.stringify({ text: 'x'.repeat(600) })}\n${JSON.stringify({ text: 'short' })}\n`);
    const done = await prepared((await bus.request(prepareDataset, order([id], { kind: 'pretrain' }))).id);
    expect(done).toMatchObject({ state: 'ready', rows: 4, tokens: 607, trainedTokens: 603 });
    expect(done.sources).toMatchObject([{ rows: 2, usedRows: 2, droppedRows: 0, cutRows: 0 }]);
    const dataset = await openPreparedDataset(store.localPath(`artifact://datasets/${done.id}`));
    const lengths = await Promise.all([0, 1, 2, 3].map(async (i) => (await dataset.row(i)).tokens.length));
    expect(lengths).toEqual([200, 201, 200, 6]);
    expect([...(await dataset.row(3)).tokens]).toEqual([...Buffer.from('short'), TINY_END]);
    await dataset.close();
  });

  it('prepares nothing from rows of another kind, and says so', async () => {
    const { id } = await upload(rows(2, 'other'));
    const asked = await bus.request(prepareDataset, order([id], { kind: 'preference' }));
    expect(await prepared(asked.id)).toMatchObject({
      state: 'failed',
      error: { code: 'file.wrong-rows', message: expect.stringContaining('holds examples; pairs are wanted') },
    });
    const fitting = await bus.request(prepareDataset, order([id]));
    expect(fitting.id).not.toBe(asked.id);
    expect(await prepared(fitting.id)).toMatchObject({ state: 'ready' });
  });

  it('mixes whole pairs in', async () => {
    const pairs = (count: number, name: string): string =>
      Array.from({ length: count }, (_, i) => `{"prompt":"${name}${i}","chosen":"yes","rejected":"no"}\n`).join('');
    const [main, general] = await Promise.all([upload(pairs(8, 'm')), upload(pairs(9, 'g'))]);
    const mix = { fileId: general.id, share: 0.2 };
    const asked = await bus.request(prepareDataset, order([main.id], { kind: 'preference', mix }));
    const done = await prepared(asked.id);
    expect(done).toMatchObject({ state: 'ready', rows: 10, sources: [{ usedRows: 8 }, { rows: 9, usedRows: 2 }] });
    const dataset = await openPreparedDataset(store.localPath(`artifact://datasets/${done.id}`));
    for (let pair = 0; pair < 10; pair += 1) {
      const [chosen, rejected] = [await dataset.row(2 * pair), await dataset.row(2 * pair + 1)];
      expect(chosen.sourceLine).toBe(rejected.sourceLine);
      expect(chosen.sourceFile).toBe(rejected.sourceFile);
    }
    await dataset.close();
  });

  it('mixes general rows in so that they are the asked share, the same ones for the same seed', async () => {
    const [main, general] = await Promise.all([upload(rows(80)), upload(`${rows(50, 'g')}{bad\n`)]);
    const mix = { fileId: general.id, share: 0.2 };
    const done = await prepared((await bus.request(prepareDataset, order([main.id], { mix }))).id);
    expect(done).toMatchObject({ state: 'ready', rows: 100 });
    expect(done.sources[1]).toMatchObject({ rows: 51, usedRows: 20, droppedRows: 1 });
  });

  it('counts cut rows and drops rows whose answer was cut off whole', async () => {
    const long = JSON.stringify({ instruction: 'x'.repeat(300), output: 'a' });
    const cut = JSON.stringify({ instruction: 'x', output: 'a'.repeat(300) });
    const { id } = await upload(`${rows(1)}${long}\n${cut}\n`);
    const done = await prepared((await bus.request(prepareDataset, order([id]))).id);
    expect(done.sources).toMatchObject([{ rows: 3, usedRows: 2, droppedRows: 1, cutRows: 1 }]);
    expect(done.longestRowTokens).toBe(256);
  });

  it('refuses rows without anything to learn, with the reason, and tries again when asked again', async () => {
    const { id } = await upload(`${JSON.stringify({ instruction: 'x'.repeat(300), output: 'a' })}\n`);
    const asked = await bus.request(prepareDataset, order([id]));
    expect(await prepared(asked.id)).toMatchObject({ state: 'failed', error: { code: 'dataset.no-trained-tokens' } });
    expect(await bus.request(prepareDataset, order([id]))).toMatchObject({ id: asked.id, state: 'preparing' });
    await prepared(asked.id);
  });

  it('takes up a preparation that a restart interrupted and leaves no temporary files', async () => {
    const { id } = await upload(rows(3_000));
    const asked = await bus.request(prepareDataset, order([id]));
    await service.stop();
    service = await startDatasets(config);
    expect(await prepared(asked.id)).toMatchObject({ state: 'ready', rows: 3_000 });
    await waitFor(async () => (await readdir(join(config.workDir, 'preparation'))).length === 0);
  });

  it('deletes a file together with what was prepared from it', async () => {
    const { id } = await upload(rows(2));
    const done = await prepared((await bus.request(prepareDataset, order([id]))).id);
    await bus.request(deleteFile, { fileId: id });
    await expect(bus.request(getDataset, { datasetId: done.id })).rejects.toMatchObject({ code: 'dataset.not-found' });
    expect((await store.list(`artifact://datasets/${done.id}`)).items).toEqual([]);
    await expect(bus.request(getFile, { fileId: id })).rejects.toMatchObject({ code: 'file.not-found' });
  });

  it.each(['the file itself', 'a dataset that was prepared from it'])(
    'deletes nothing while an unfinished job uses %s, and names the job',
    async (used) => {
      const { id } = await upload(rows(2, used));
      const done = await prepared((await bus.request(prepareDataset, order([id]))).id);
      const jobId = newId('job');
      training.users.set(used === 'the file itself' ? id : done.id, [jobId]);
      await expect(bus.request(deleteFile, { fileId: id })).rejects.toMatchObject({
        code: 'file.in-use',
        message: `The file is used by the job ${jobId}`,
        param: 'file_id',
        hint: expect.stringContaining('cancel'),
      });
      expect(await bus.request(getDataset, { datasetId: done.id })).toMatchObject({ state: 'ready' });
      expect((await bus.request(readRows, { fileId: id })).rows).toHaveLength(2);
      training.users.clear();
      await expect(bus.request(deleteFile, { fileId: id })).resolves.toEqual({ fileId: id });
    },
  );

  it('deletes nothing while training cannot be asked who uses the file; the same request does later', async () => {
    const { id } = await upload(rows(2, 'alone'));
    await validated(id);
    await training.stop();
    const refused: unknown = await bus.request(deleteFile, { fileId: id }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'service.unavailable', retryable: true });
    expect((await bus.request(readRows, { fileId: id })).rows).toHaveLength(2);
    await training.start();
    await expect(bus.request(deleteFile, { fileId: id })).resolves.toEqual({ fileId: id });
  });
});
