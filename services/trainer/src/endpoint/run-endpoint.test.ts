import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { FileArtifactStore } from '@luthier/artifacts';
import { attachAnswer, newId } from '@luthier/contracts';
import type { RunSpec, RunStatus, RunStreamMessage } from '@luthier/contracts';
import type { RunEntry, RunSide } from '@luthier/messaging';
import { createLogger } from '@luthier/service-kit';
import { tempDir } from '@luthier/testing';
import { Checkpoints } from './checkpoints.js';
import { RunEndpointServer } from './run-endpoint.server.js';
import { RunEndpointService } from './run-endpoint.service.js';
import { RunPublisher } from './run-publisher.js';
import { RunTokens } from './run-tokens.js';

const SECRET = Buffer.alloc(32, 7);
const HASH = 'a'.repeat(64);

const resourcesOf = (nodes: number): RunSpec['resources'] => ({
  ...{ nodes, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 1, memoryMib: 64, scratchMib: 0 },
});

describe('run endpoint', () => {
  const runId = newId('run');
  const modelUri = `artifact://models/${newId('model')}/weights`;
  const own = `artifact://runs/${runId}/1/1`;
  const sides: { spec?: Partial<RunSpec>; status?: Partial<RunStatus> } = {};
  const published: RunStreamMessage[] = [];
  const tokens = new RunTokens(SECRET);
  let now = Date.now();
  let server: RunEndpointServer;
  let requestSha256 = '';

  const call = async (verb: string, body: unknown, token: string): Promise<{ status: number; body: unknown }> => {
    const response = await fetch(`${server.url}/runs/${runId}/${verb}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  const attach = (attempt = 1): Promise<{ status: number; body: unknown }> =>
    call('attach', { attempt, podUid: 'pod' }, tokens.attachToken(runId, attempt));
  const tokenOf = async (): Promise<string> => attachAnswer.parse((await attach()).body).token;
  const step = (seq: number): unknown => ({
    type: 'heartbeat',
    seq,
    rank: 0,
    time: new Date().toISOString(),
    step: seq,
  });

  beforeAll(async () => {
    const store = new FileArtifactStore(await tempDir('endpoint'));
    const request = JSON.stringify({
      ...{
        version: 1,
        owner: { kind: 'job', id: 'x' },
        mode: 'train',
        method: { type: 'supervised' },
        tuning: { type: 'full' },
      },
      ...{ model: { uri: modelUri, sha256: HASH }, data: {}, parallelism: { nodes: 1, devicesPerNode: 0 }, seed: 1 },
      ...{ checkpointing: { everySteps: 1, keepLast: 2 }, limits: { memoryMib: 1, cpu: 1, deadlineSeconds: 1 } },
      hyperparameters: {
        ...{ epochs: 1, maxSteps: null, globalBatch: 1, learningRate: 0.1, schedule: 'constant', warmupRatio: 0 },
        ...{
          weightDecay: 0,
          adamBeta1: 0.9,
          adamBeta2: 0.99,
          adamEpsilon: 1e-8,
          maxGradNorm: 1,
          evaluationSteps: null,
        },
      },
    });
    requestSha256 = createHash('sha256').update(request).digest('hex');
    await store.put(`artifact://runs/${runId}/request.json`, request);
    const bus = { publishRunMessage: (message: RunStreamMessage) => Promise.resolve(void published.push(message)) };
    const service = new RunEndpointService({
      runs: {
        get: <Side extends RunSide>(side: Side) => {
          const value = sides[side];
          // The endpoint reads only what the tests set.
          return Promise.resolve(value && ({ runId, value, revision: 1 } as unknown as RunEntry<Side>));
        },
      },
      store,
      tokens: new RunTokens(SECRET, () => now),
      publisher: new RunPublisher(bus),
      checkpoints: new Checkpoints(store, bus),
      listener: { onTraining: () => undefined, onOutcome: () => undefined },
    });
    server = new RunEndpointServer(service, createLogger({ service: 'trainer', level: 'silent' }));
    await server.start('127.0.0.1', 0);
  });
  afterAll(() => server.stop());
  beforeEach(() => {
    now = Date.now();
    const requestUri = `artifact://runs/${runId}/request.json`;
    sides.spec = {
      runId,
      attempt: 1,
      desired: 'running',
      stopGraceSeconds: 5,
      checkpointRequest: 0,
      requestUri,
      requestSha256,
      resources: resourcesOf(1),
    };
    sides.status = { runId, attempt: 1, incarnation: 1, phase: 'starting', objectUid: 'uid', pods: ['pod'] };
  });

  it.each([
    ['without a status', () => delete sides.status],
    ['without a spec', () => delete sides.spec],
    ['before the object is in the status', () => delete sides.status?.objectUid],
    ['for a pod that the status does not list', () => Object.assign(sides.status ?? {}, { pods: ['other'] })],
  ])('answers 503 %s', async (_name, change) => {
    change();
    expect(await attach()).toMatchObject({ status: 503, body: { code: 'run.not-attached' } });
  });

  it('answers 409 to an older attempt, at attach and afterwards', async () => {
    const token = await tokenOf();
    sides.spec = { ...sides.spec, attempt: 2 };
    expect(await attach()).toMatchObject({ status: 409, body: { code: 'run.fenced' } });
    expect(await call('heartbeat', { step: 1 }, token)).toMatchObject({ status: 409 });
    expect(await call('events', { events: [step(1)] }, token)).toMatchObject({ status: 409 });
  });

  it('answers 409 to an older incarnation and to an ended attempt, 503 when a key is missing', async () => {
    const token = await tokenOf();
    sides.status = { ...sides.status, incarnation: 2 };
    expect(await call('heartbeat', { step: 1 }, token)).toMatchObject({ status: 409 });
    sides.status = { ...sides.status, incarnation: 1, phase: 'ended' };
    expect(await call('heartbeat', { step: 1 }, token)).toMatchObject({ status: 409 });
    delete sides.status;
    expect(await call('heartbeat', { step: 1 }, token)).toMatchObject({ status: 503 });
  });

  it('refuses tokens that are wrong, of another run or attempt, or no token', async () => {
    expect(await call('attach', { attempt: 1, podUid: 'pod' }, 'wrong')).toMatchObject({ status: 401 });
    const other = tokens.attachToken(newId('run'), 1);
    expect(await call('attach', { attempt: 1, podUid: 'pod' }, other)).toMatchObject({ status: 401 });
    const forged = (await tokenOf()).replace('.1.1.', '.1.9.');
    expect(await call('heartbeat', { step: 1 }, forged)).toMatchObject({ status: 401 });
    expect(await call('heartbeat', { step: 1 }, '')).toMatchObject({ status: 401 });
  });

  it('lets a heartbeat, and nothing else, renew an expired token', async () => {
    const token = await tokenOf();
    now += 2 * 60 * 60_000;
    expect(await call('events', { events: [] }, token)).toMatchObject({ status: 401 });
    const { body } = await call('heartbeat', { step: 1 }, token);
    expect(body).toMatchObject({ token: expect.any(String) as unknown });
    expect(await call('events', { events: [] }, (body as { token: string }).token)).toMatchObject({ status: 200 });
  });

  it('publishes a line once, however often it comes', async () => {
    const token = await tokenOf();
    published.length = 0;
    await call('events', { events: [step(1), step(2)] }, token);
    const again = await call('events', { events: [step(2), step(3)] }, token);
    expect(again.body).toMatchObject({ acknowledged: { 0: 3 } });
    expect(published.map(({ event }) => ('seq' in event ? event.seq : 0))).toEqual([1, 2, 3]);
  });

  it('carries the orders of the spec in its answers', async () => {
    const token = await tokenOf();
    sides.spec = { ...sides.spec, desired: 'stopped', stopReason: 'pause', checkpointRequest: 4 };
    const stop = { reason: 'pause', graceSeconds: 5 };
    expect(await call('heartbeat', { step: 1 }, token)).toMatchObject({ body: { stop, checkpointRequest: 4 } });
  });

  it.each([
    ['read', () => `${modelUri}/config.json`],
    ['read', () => `artifact://runs/${runId}/request.json`],
    ['read', () => `artifact://runs/${runId}/1/1/checkpoint-2/checkpoint.json`],
    ['read', () => `artifact://runs/${runId}/7/3/checkpoint-2/weights.bin`], // of another attempt: to go on from it
    ['write', () => `${own}/checkpoint-2/weights.bin`],
    ['write', () => `${own}/events.0.jsonl.gz`],
  ])('gives a URL to %s what belongs to the run (%#)', async (operation, uri) => {
    const { status, body } = await call('objects', { operation, uris: [uri()] }, await tokenOf());
    expect({ status, body }).toMatchObject({ status: 200, body: { urls: [{ uri: uri() }] } });
  });

  it.each([
    ['read', 'a model whose name begins alike', () => `${modelUri}-other/config.json`],
    ['read', 'what is beside an input', () => `${modelUri}/../../other/weights`],
    ['read', 'what is beside an input, encoded', () => `${modelUri}/%2e%2e/%2e%2e/other/weights`],
    ['read', 'a file of a user', () => 'artifact://files/file-x/content'],
    ['read', 'another run', () => `artifact://runs/${newId('run')}/1/1/checkpoint-2/weights.bin`],
    ['read', 'an outcome', () => `${own}/outcome.json`],
    ['read', 'a file of the machine', () => 'file:///etc/passwd'],
    ['read', 'a URL', () => 'https://example.test/x'],
    ['write', 'an input', () => `${modelUri}/config.json`],
    ['write', 'the request', () => `artifact://runs/${runId}/request.json`],
    ['write', 'another attempt', () => `artifact://runs/${runId}/2/1/x`],
    ['write', 'another incarnation', () => `artifact://runs/${runId}/1/2/x`],
    ['write', 'an attempt whose number begins alike', () => `artifact://runs/${runId}/1/11/x`],
    ['write', 'another run', () => `artifact://runs/${newId('run')}/1/1/x`],
    ['write', 'the folder above', () => `${own}/../2/x`],
    ['write', 'the folder above, encoded', () => `${own}/%2e%2e/2/x`],
    ['write', 'the folder above, encoded twice', () => `${own}/%252e%252e/2/x`],
    ['write', 'the folder above, as Windows has it', () => `${own}/..\\2\\x`],
    ['write', 'a hidden name', () => `${own}/.put-1`],
    ['write', 'a name with a NUL', () => `${own}/x\0.json`],
    ['write', 'a name with a query', () => `${own}/x?partNumber=1`],
    ['write', 'no name', () => `${own}/`],
    ['write', 'what makes a checkpoint', () => `${own}/checkpoint-2/checkpoint.json`],
    ['write', 'the share of another node', () => `${own}/checkpoint-2/node-1.json`],
    ['write', 'the outcome', () => `${own}/outcome.json`],
    ['write', "another node's outcome", () => `${own}/outcome.3.json`],
  ])('gives no URL to %s %s, nor to anything that is asked for with it', async (operation, _what, uri) => {
    const good = operation === 'read' ? `${modelUri}/config.json` : `${own}/log.txt.gz`;
    const answer = await call('objects', { operation, uris: [good, uri()] }, await tokenOf());
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect(answer.body).not.toHaveProperty('urls');
  });

  it('commits a checkpoint of several nodes when the last of them has reported, once', async () => {
    sides.spec = { ...sides.spec, resources: resourcesOf(2) };
    const token = await tokenOf();
    const report = (node: number): Promise<{ status: number; body: unknown }> =>
      call('checkpoint', { step: 7, node, files: [] }, token);
    expect(await report(0)).toMatchObject({ status: 200, body: { committed: false } });
    expect(await report(0)).toMatchObject({ status: 200, body: { committed: false } });
    expect(await report(1)).toMatchObject({ status: 200, body: { committed: true } });
  });

  it('carries an order to stop that the trainer gave by itself', async () => {
    const token = await tokenOf();
    sides.status = { ...sides.status, phase: 'stopping' };
    expect(await call('heartbeat', { step: 1 }, token)).toMatchObject({ body: { stop: { reason: 'preempt' } } });
  });

  it('does not commit a checkpoint whose files are missing or cut', async () => {
    const files = [{ name: 'weights.bin', sizeBytes: 3, sha256: HASH }];
    expect(await call('checkpoint', { step: 2, node: 0, files }, await tokenOf())).toMatchObject({ status: 400 });
  });

  it('refuses a body beyond its limit', async () => {
    const events = Array.from({ length: 3 }, () => ({ type: 'x', text: 'y'.repeat(4 * 1024 * 1024) }));
    expect(await call('events', { events }, await tokenOf())).toMatchObject({ status: 413 });
  });
});
