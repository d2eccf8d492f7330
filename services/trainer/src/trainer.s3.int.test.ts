import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readArtifact } from '@luthier/artifacts';
import { checkpointManifest } from '@luthier/contracts';
import { identityOf } from '@luthier/local-servers';
import type { RunningService } from '@luthier/service-kit';
import { canRunS3, startS3, waitFor } from '@luthier/testing';
import type { TestS3 } from '@luthier/testing';
import { TrainerHarness } from './testing/harness.js';

((await canRunS3()) ? describe : describe.skip)('a run whose artifacts are in S3', () => {
  let s3: TestS3;
  let harness: TrainerHarness;
  let trainer: RunningService;
  beforeAll(async () => {
    s3 = await startS3();
    Object.assign(process.env, s3.environment);
    harness = await TrainerHarness.start(await s3.createBucket());
    trainer = await harness.startTrainer({ deliveryTimeoutMs: 120_000 });
  });
  afterAll(async () => {
    await trainer.stop();
    await harness.stop();
    await s3.stop();
  });

  const stored = async (uri: string): Promise<Buffer> => readArtifact(harness.store, uri);
  /** The text of every file of a run's folder here. */
  const localTexts = async (runId: string): Promise<string[]> => {
    const files = await readdir(harness.runFolder(runId), { recursive: true, withFileTypes: true });
    const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
    return Promise.all(paths.map((path) => readFile(path, 'latin1')));
  };

  it('leaves result, artifact, checkpoints, events and log in the bucket, and its processes hold no credentials', async () => {
    const spec = await harness.makeSpec({ steps: 6, stepMs: 1_000, checkpointBytes: 100_000 });
    await harness.runs.put('spec', spec);
    const pids = await harness.pids(spec.runId);
    for (const pid of Object.values(pids)) expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toContain('AWS_');
    const status = await harness.waitForEnd(spec.runId);
    const base = `artifact://runs/${spec.runId}/1/1`;
    expect(status).toMatchObject({ reason: 'succeeded', outcome: { step: 6, checkpoint: { step: 6 } } });
    const manifest: unknown = JSON.parse((await stored(`${base}/checkpoint-6/checkpoint.json`)).toString());
    expect(checkpointManifest.parse(manifest).files.map(({ name }) => name)).toEqual(['state.json', 'weights.bin']);
    expect((await harness.store.stat(`${base}/checkpoint-6/weights.bin`))?.sizeBytes).toBe(100_000);
    expect((await stored(`${base}/artifact/adapter_model.safetensors`)).toString()).toBe('weights');
    expect(gunzipSync(await stored(`${base}/events.0.jsonl.gz`)).toString()).toContain('"type":"result"');
    const log = gunzipSync(await stored(`${base}/log.txt.gz`)).toString();
    expect(log).toContain('the runtime starts');
    expect([log, ...(await localTexts(spec.runId))].join('\n')).not.toMatch(/X-Amz-(Signature|Credential)/);
  });

  it('goes on from its newest checkpoint in the bucket when its runner was killed', async () => {
    const spec = await harness.makeSpec({ steps: 300, stepMs: 50, checkpointEverySteps: 5 });
    await harness.runs.put('spec', spec);
    await harness.waitForCheckpoint(spec.runId);
    process.kill((await harness.pids(spec.runId)).runner, 'SIGKILL');
    const first = await harness.waitForEnd(spec.runId);
    expect(first.reason).not.toBe('succeeded');
    await harness.runs.put('spec', { ...spec, attempt: 2, generation: 2, seen: { attempt: 1 } });
    expect(await harness.waitForEnd(spec.runId, 2)).toMatchObject({ reason: 'succeeded', outcome: { step: 300 } });
    const resumed = (await harness.messages(spec.runId)).find(
      ({ attempt, event }) => attempt === 2 && event.type === 'started',
    );
    expect(resumed?.event).toMatchObject({ resumeStep: first.outcome?.checkpoint?.step });
    expect(first.outcome?.checkpoint?.step).toBeGreaterThanOrEqual(5);
  });

  it('trains on while the bucket is away, waits for it at the end, and delivers everything', async () => {
    const spec = await harness.makeSpec({ steps: 200, stepMs: 50, checkpointEverySteps: 10, losses: { 10: 0.1 } });
    await harness.runs.put('spec', spec);
    await harness.waitForStep(spec.runId, 2);
    const runtime = await identityOf((await harness.pids(spec.runId)).runtime);
    await s3.kill();
    await harness.waitForStep(spec.runId, 200);
    await waitFor(async () => (await identityOf(runtime?.pid ?? 0))?.startTime !== runtime?.startTime);
    expect((await harness.status(spec.runId))?.phase).not.toBe('ended');
    await s3.restart();
    const status = await harness.waitForStatus(spec.runId, ({ phase }) => phase === 'ended');
    expect(status).toMatchObject({
      reason: 'succeeded',
      attempt: 1,
      outcome: { step: 200, checkpoint: { step: 200 } },
    });
    const steps = (await harness.messages(spec.runId)).flatMap(({ event }) =>
      event.type === 'step' ? event.step : [],
    );
    expect(steps).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    const { items } = await harness.store.list(`artifact://runs/${spec.runId}/1/1`);
    expect(items.map(({ uri }) => uri)).toContain(`${status.outcome?.artifact?.uri}/adapter_model.safetensors`);
  });
});
