import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { readArtifact } from '@luthier/artifacts';
import { waitFor } from '@luthier/testing';
import { isLocked } from './process/run-lock.js';
import { identityOf } from './process/process-identity.js';
import { TRAINER, TrainerHarness, holdersOf } from './testing/harness.js';

const ENDLESS = { steps: 100_000, stepMs: 20 };

describe('kill -9', () => {
  let harness: TrainerHarness;
  let trainers: ChildProcess[];
  const startTrainer = (over: Record<string, string> = {}): ChildProcess => {
    const env = { PATH: process.env['PATH'], ...harness.environment(over) };
    const child = spawn(process.execPath, [TRAINER], { env, stdio: ['ignore', 'inherit', 'inherit'] });
    trainers.push(child);
    return child;
  };
  const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  beforeEach(async () => {
    trainers = [];
    harness = await TrainerHarness.start();
  });
  afterEach(async () => {
    for (const trainer of trainers) await end(trainer, 'SIGKILL');
    await harness.stop();
  });

  const expectNoDoubles = async (runId: string): Promise<void> => {
    const seen = (await harness.messages(runId)).flatMap(({ attempt, incarnation, event }) =>
      'seq' in event ? `${attempt}:${incarnation}:${event.rank}:${event.seq}` : [],
    );
    expect(new Set(seen).size).toBe(seen.length);
  };

  it('of the runner ends the runtime too, keeps the checkpoint and says runtime.killed', async () => {
    startTrainer();
    const spec = await harness.makeSpec(ENDLESS);
    await harness.runs.put('spec', spec);
    await harness.waitForCheckpoint(spec.runId);
    const { runner, runtime } = await harness.pids(spec.runId);
    process.kill(runner, 'SIGKILL');
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'failed', outcome: { code: 'runtime.killed' } });
    expect(status.outcome?.checkpoint?.step).toBeGreaterThanOrEqual(2);
    expect(await identityOf(runtime)).toBeUndefined();
    expect(await isLocked(join(harness.runFolder(spec.runId), 'lock'))).toBe(false);
    await expectNoDoubles(spec.runId);
  });

  it('of the runtime is said by the runner, with its checkpoint and every line', async () => {
    startTrainer();
    const spec = await harness.makeSpec(ENDLESS);
    await harness.runs.put('spec', spec);
    await harness.waitForCheckpoint(spec.runId);
    const { runtime } = await harness.pids(spec.runId);
    process.kill(runtime, 'SIGKILL');
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'failed', outcome: { code: 'runtime.killed' } });
    const lines = (await harness.messages(spec.runId)).filter(({ event }) => 'seq' in event);
    expect(lines).toHaveLength(status.outcome?.lastSeq['0'] ?? -1);
    await expectNoDoubles(spec.runId);
  });

  it('of the trainer ends the run; the next trainer says so and a next attempt goes on from the checkpoint', async () => {
    const first = startTrainer();
    const spec = await harness.makeSpec(ENDLESS);
    await harness.runs.put('spec', spec);
    await harness.waitForCheckpoint(spec.runId);
    const lock = join(harness.runFolder(spec.runId), 'lock');
    const { runner, runtime } = await harness.pids(spec.runId);
    expect((await holdersOf(lock)).sort()).toEqual([runner, runtime].sort());
    await end(first, 'SIGKILL');
    startTrainer();
    const status = await harness.waitForEnd(spec.runId);
    expect(await holdersOf(lock)).toEqual([]);
    expect(status).toMatchObject({ reason: 'failed', outcome: { code: 'runtime.interrupted' } });
    expect(status.outcome?.checkpoint?.step).toBeGreaterThanOrEqual(2);
    const [file = ''] = status.outcome?.eventFiles ?? [];
    const lines = gunzipSync(await readArtifact(harness.store, file))
      .toString()
      .trimEnd()
      .split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { seq: number }).seq).at(-1)).toBe(status.outcome?.lastSeq['0']);

    await harness.runs.put('spec', { ...spec, attempt: 2, generation: 2, seen: { attempt: 1 } });
    const started = await waitFor(
      async () =>
        (await harness.messages(spec.runId)).find(({ attempt, event }) => attempt === 2 && event.type === 'started'),
      { what: 'the second attempt' },
    );
    expect(started.event).toMatchObject({ resumeStep: status.outcome?.checkpoint?.step });
    await expectNoDoubles(spec.runId);
  });

  it('of the trainer while a run is created never leads to two writers', async () => {
    const spec = await harness.makeSpec({ ...ENDLESS, checkpointEverySteps: 100_000 });
    await harness.runs.put('spec', spec);
    let most = 0;
    for (const livesMs of [250, 400, 550, 700]) {
      const trainer = startTrainer();
      const until = Date.now() + livesMs;
      while (Date.now() < until) {
        most = Math.max(most, (await holdersOf(join(harness.runFolder(spec.runId), 'lock'))).length);
        await sleep(20);
      }
      await end(trainer, 'SIGKILL');
    }
    startTrainer();
    await harness.waitForStatus(spec.runId, ({ phase }) => phase === 'running' || phase === 'ended');
    expect(most).toBeLessThanOrEqual(2); // one runner and its runtime
    const started = (await harness.messages(spec.runId)).filter(({ event }) => event.type === 'started');
    expect(started.length).toBeLessThanOrEqual(1);
    await harness.runs.put('spec', { ...spec, generation: 2, desired: 'stopped', stopReason: 'cancel' });
    await harness.waitForEnd(spec.runId);
  });

  it('is not needed: an orderly end saves a checkpoint, and the next trainer takes the outcome from it', async () => {
    const first = startTrainer();
    const spec = await harness.makeSpec({ ...ENDLESS, checkpointEverySteps: 100_000 });
    await harness.runs.put('spec', spec);
    await harness.waitForStep(spec.runId, 3);
    await end(first, 'SIGTERM');
    startTrainer();
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'failed', outcome: { code: 'runtime.interrupted' } });
    expect(status.outcome?.checkpoint?.step).toBeGreaterThanOrEqual(3);
  });

  it('of NATS during a run loses nothing: it goes on and delivers when the server is back', async () => {
    startTrainer({ LUTHIER_TRAINER_DELIVERY_TIMEOUT_MS: '60000' });
    const spec = await harness.makeSpec({ steps: 60, stepMs: 20 });
    await harness.runs.put('spec', spec);
    await harness.waitForStep(spec.runId, 2);
    await harness.nats.kill();
    await sleep(300);
    await harness.nats.restart();
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'succeeded', outcome: { step: 60 } });
    const steps = (await harness.messages(spec.runId)).filter(({ event }) => event.type === 'step');
    expect(steps).toHaveLength(60);
  });
});
