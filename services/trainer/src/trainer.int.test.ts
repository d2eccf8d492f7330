import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArtifact } from '@luthier/artifacts';
import { checkpointManifest, getInventory, readRunLog } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import type { RunningService } from '@luthier/service-kit';
import { waitFor } from '@luthier/testing';
import { TrainerHarness } from './testing/harness.js';

describe('a run from spec to outcome', () => {
  let harness: TrainerHarness;
  let trainer: RunningService;
  beforeAll(async () => {
    harness = await TrainerHarness.start();
    trainer = await harness.startTrainer();
  });
  afterAll(async () => {
    await trainer.stop();
    await harness.stop();
  });

  it('ends succeeded with result, artifact and checkpoint, every line on the run stream once and in order', async () => {
    const spec = await harness.makeSpec();
    await harness.runs.put('spec', spec);
    const status = await harness.waitForEnd(spec.runId);
    const base = `artifact://runs/${spec.runId}/1/1`;
    expect(status).toMatchObject({ reason: 'succeeded', incarnation: 1, objectName: `ft-${spec.runId.slice(-20)}-1` });
    expect(status.outcome).toMatchObject({
      step: 4,
      result: { mode: 'train', steps: 4 },
      artifact: { uri: `${base}/artifact` },
      checkpoint: { step: 4, uri: `${base}/checkpoint-4` },
      eventFiles: [`${base}/events.0.jsonl.gz`],
    });
    expect(status.outcome?.code).toBeUndefined();
    const manifest: unknown = JSON.parse(
      (await readArtifact(harness.store, `${base}/checkpoint-4/checkpoint.json`)).toString(),
    );
    expect(checkpointManifest.parse(manifest).files.map(({ name }) => name)).toEqual(['state.json', 'weights.bin']);
    const lines = (await harness.messages(spec.runId)).flatMap(({ event }) => ('seq' in event ? event.seq : []));
    expect(lines).toEqual([...lines].sort((a, b) => a - b));
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines.length).toBe(status.outcome?.lastSeq['0']);
  });

  it.each([
    ['exit:41', 'config.bad'],
    ['exit:43', 'training.diverged'],
    ['exit:7', 'runtime.crashed'],
    ['failed:data.bad', 'data.bad'],
    ['kill', 'runtime.killed'],
  ])('says why a runtime that ends with %s has failed: %s', async (end, code) => {
    const spec = await harness.makeSpec({ end });
    await harness.runs.put('spec', spec);
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'failed', outcome: { code, checkpoint: { step: 4 } } });
    expect(status.outcome?.hint).toBeTruthy();
  });

  it('fails a run whose input is not what its sha256 promised, before training', async () => {
    const spec = await harness.makeSpec();
    await harness.runs.put('spec', { ...spec, requestSha256: 'b'.repeat(64) });
    expect(await harness.waitForEnd(spec.runId)).toMatchObject({ reason: 'failed', outcome: { code: 'config.bad' } });
  });

  it('keeps a checkpoint when it is cancelled, without waiting for its grace', async () => {
    const behaviour = { steps: 100_000, checkpointEverySteps: 50_000, stepMs: 20 };
    const spec = await harness.makeSpec(behaviour, { stopGraceSeconds: 600 });
    await harness.runs.put('spec', spec);
    await harness.waitForStep(spec.runId, 3);
    await harness.runs.put('spec', { ...spec, generation: 2, desired: 'stopped', stopReason: 'cancel' });
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'stopped', outcome: { code: 'runtime.interrupted' } });
    expect(status.outcome?.checkpoint?.step).toBeGreaterThanOrEqual(3);
  });

  it('kills a run that does not stop within its grace', async () => {
    const spec = await harness.makeSpec({ steps: 100_000, stepMs: 20, ignoreStop: true }, { stopGraceSeconds: 1 });
    await harness.runs.put('spec', spec);
    await harness.waitForCheckpoint(spec.runId);
    await harness.runs.put('spec', { ...spec, generation: 2, desired: 'stopped', stopReason: 'pause' });
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'stopped', outcome: { code: 'runtime.interrupted' } });
    expect(status.outcome?.checkpoint?.step).toBeGreaterThanOrEqual(2);
  });

  it('stops a run at its deadline with a checkpoint', async () => {
    const spec = await harness.makeSpec({ steps: 100_000, stepMs: 20 });
    await harness.runs.put('spec', spec);
    await harness.waitForCheckpoint(spec.runId);
    await harness.runs.put('spec', { ...spec, generation: 2, deadlineSeconds: 1 });
    const status = await harness.waitForEnd(spec.runId);
    expect(status.reason).toBe('deadline-exceeded');
    expect(status.outcome?.checkpoint?.step).toBeGreaterThanOrEqual(2);
  });

  it('resumes a next attempt from the newest committed checkpoint', async () => {
    const spec = await harness.makeSpec({ steps: 6, end: 'exit:7' });
    await harness.runs.put('spec', spec);
    await harness.waitForEnd(spec.runId);
    await harness.runs.put('spec', { ...spec, attempt: 2, generation: 2, seen: { attempt: 1 } });
    await harness.waitForEnd(spec.runId, 2);
    const started = (await harness.messages(spec.runId)).find(
      ({ attempt, event }) => attempt === 2 && event.type === 'started',
    );
    expect(started?.event).toMatchObject({ resumeStep: 6 });
  });

  it('keeps the last two checkpoints and the best', async () => {
    // While an upload takes long, only the newest and the best of those that wait are kept: 8 is better than its neighbours.
    const losses = { 2: 1, 4: 0.1, 6: 1, 8: 0.5, 10: 1 };
    const spec = await harness.makeSpec({ steps: 10, stepMs: 500, losses });
    await harness.runs.put('spec', spec);
    await harness.waitForEnd(spec.runId);
    const { items } = await harness.store.list(`artifact://runs/${spec.runId}/1/1`);
    const steps = items.flatMap(({ uri }) => /checkpoint-(\d+)\/checkpoint\.json$/.exec(uri)?.[1] ?? []).map(Number);
    expect(steps.sort((a, b) => a - b)).toEqual([4, 8, 10]);
  });

  it('never creates again what training has seen when the status is lost, and finds its outcome', async () => {
    const spec = await harness.makeSpec();
    await harness.runs.put('spec', spec);
    const before = await harness.waitForEnd(spec.runId);
    await harness.runs.delete('status', spec.runId);
    await harness.runs.put('spec', { ...spec, generation: 2, seen: { attempt: 1, objectUid: before.objectUid ?? '' } });
    const after = await harness.waitForEnd(spec.runId);
    expect(after).toMatchObject({ reason: 'succeeded', outcome: before.outcome });
    expect((await harness.messages(spec.runId)).filter(({ event }) => event.type === 'started')).toHaveLength(1);
  });

  it('says deleted-externally when nothing is left of what training has seen', async () => {
    const spec = await harness.makeSpec({}, { seen: { attempt: 1, objectUid: 'gone' } });
    await harness.runs.put('spec', spec);
    const status = await harness.waitForEnd(spec.runId);
    expect(status.reason).toBe('deleted-externally');
    expect(await harness.messages(spec.runId)).toEqual([]);
  });

  it('ends a stopped run that never started without starting it', async () => {
    const spec = await harness.makeSpec({}, { desired: 'stopped', stopReason: 'cancel' });
    await harness.runs.put('spec', spec);
    const status = await harness.waitForEnd(spec.runId);
    expect(status.reason).toBe('stopped');
    expect(status.objectName).toBeUndefined();
  });

  it('removes the run folder of a closed run and still answers for its log', async () => {
    const spec = await harness.makeSpec();
    await harness.runs.put('spec', spec);
    await harness.waitForEnd(spec.runId);
    const bus = new MessageBus(harness.connection);
    expect((await bus.request(readRunLog, { runId: spec.runId })).text).toContain('the runtime starts');
    await harness.runs.put('spec', { ...spec, generation: 2, closed: true });
    await waitFor(async () => !(await readdir(join(harness.workDir, 'runs'))).includes(spec.runId));
    expect((await bus.request(readRunLog, { runId: spec.runId })).text).toContain('the runtime starts');
    await expect(bus.request(readRunLog, { runId: '../../etc' })).rejects.toMatchObject({ code: 'run.not-found' });
  });

  it('lets the log of a run be followed from its first line to its last, also when its folder is removed', async () => {
    const spec = await harness.makeSpec({ steps: 60, stepMs: 10 });
    await harness.runs.put('spec', spec);
    const bus = new MessageBus(harness.connection);
    const { runId } = spec;
    let piece = await waitFor(() => bus.request(readRunLog, { runId, tailBytes: 200_000 }).catch(() => undefined));
    let { text } = piece;
    const readOn = async (): Promise<void> => {
      piece = await bus.request(readRunLog, { runId, after: piece.cursor });
      text += piece.text;
    };
    while (!text.includes('step 30\n')) await readOn();
    await harness.waitForEnd(runId);
    await harness.runs.put('spec', { ...spec, generation: 2, closed: true });
    await waitFor(async () => !(await readdir(join(harness.workDir, 'runs'))).includes(runId));
    do await readOn();
    while (piece.text !== '');
    const steps = [...text.matchAll(/^step (\d+)$/gm)].map(([, step]) => Number(step));
    expect(steps).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
    expect(text.startsWith('the runtime starts\n')).toBe(true);
  });

  it('lists its profile with capabilities, and a live run as counted', async () => {
    const spec = await harness.makeSpec({ steps: 100_000, stepMs: 20 });
    await harness.runs.put('spec', spec);
    await harness.waitForStep(spec.runId, 1);
    const bus = new MessageBus(harness.connection);
    const inventory = await bus.request(getInventory, {});
    expect(inventory.countedRuns).toEqual([spec.runId]);
    expect(inventory.profiles).toMatchObject([{ name: 'local-cpu', slots: 4, capabilities: { runtime: 'fake' } }]);
    expect(inventory.profiles[0]?.freeMemoryMib).toBeLessThanOrEqual((inventory.profiles[0]?.memoryMib ?? 0) - 64);
    await harness.runs.put('spec', { ...spec, generation: 2, desired: 'stopped', stopReason: 'cancel' });
    await harness.waitForEnd(spec.runId);
  });

  it('says disk.full with the step when the store has no space left, and the status is told all the same', async () => {
    const spec = await harness.makeSpec({ checkpointBytes: 1024 * 1024 });
    const small = join(harness.artifactsDir, 'runs', spec.runId, '1');
    await mkdir(small, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', small], { stdio: 'ignore' });
    } catch {
      console.warn('skipped: no permission to mount a small file system');
      return;
    }
    try {
      await harness.runs.put('spec', spec);
      const status = await harness.waitForEnd(spec.runId);
      expect(status).toMatchObject({ reason: 'failed', outcome: { code: 'disk.full', step: 4 } });
      expect(status.outcome?.checkpoint).toBeUndefined();
    } finally {
      execFileSync('umount', [small]);
    }
  });

  it('shows its metrics, and every one of them is documented', async () => {
    const text = await (await fetch(`${trainer.url}/metrics`)).text();
    const names = [...text.matchAll(/^# TYPE (luthier_trainer_\w+)/gm)].map(([, name]) => name ?? '');
    const documented = await readFile(
      fileURLToPath(new URL('../../../docs/reference/metrics.md', import.meta.url)),
      'utf8',
    );
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(documented).toContain(name);
  });
});
