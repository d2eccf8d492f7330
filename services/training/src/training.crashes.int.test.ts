import { describe, expect, it } from '@jest/globals';
import { cancelJob, restartJob } from '@luthier/contracts';
import type { JobRecord, StreamEntry } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { numbered } from './testing/training-fixture.js';
import type { TrainingFixture } from './testing/training-fixture.js';
import { trainingOfEachTest } from './testing/training-of-each-test.js';

let training: TrainingFixture;
trainingOfEachTest((fresh) => (training = fresh));

describe('restarting', () => {
  const restart = (jobId: string, order: { attempt?: number; avoidNode?: boolean } = {}): Promise<JobRecord> =>
    training.bus.request(restartJob, { jobId, ...order });
  const specOf = async ({ runId }: JobRecord) => (await training.peers.bucket.get('spec', runId ?? ''))?.value;
  const atStep4 = async (): Promise<string> => {
    training.peers.nodes = ['gpu-1'];
    training.peers.script.push({ untilStep: 4, checkpointSteps: [4], untilStopped: true });
    const { id } = await training.submit();
    await waitFor(async () => (await training.job(id)).progress?.step === 4);
    return id;
  };
  const expectWhole = async (id: string, attempts: number): Promise<void> => {
    const job = await training.until(id, 'succeeded');
    expect(job.attempts).toHaveLength(attempts);
    expect((await training.losses(id)).map(({ step }) => step)).toEqual(numbered(10));
    expect(training.peers.mostAtOnce).toBe(1);
    const entries = await training.stream(id);
    expect(entries.map((entry) => entry.id)).toEqual(numbered(entries.length));
  };

  it('ends the attempt, goes on from its checkpoint away from its node, and charges nothing', async () => {
    const id = await atStep4();
    training.peers.script.push({ untilStep: 6, untilStopped: true });
    expect(await restart(id, { attempt: 1 })).toMatchObject({ status: 'running', message: 'Restarting' });
    await restart(id, { attempt: 1 });
    const second = await waitFor(async () => {
      const job = await training.job(id);
      return job.progress?.step === 6 ? job : undefined;
    });
    expect(second.attempts).toMatchObject([{ attempt: 1 }, { attempt: 2, resumedFromStep: 4 }]);
    expect(await specOf(second)).toMatchObject({ attempt: 2, desired: 'running', avoidNodes: ['gpu-1'] });
    expect(await training.query('select retries, interruptions, crashes from training.runs')).toEqual([
      { retries: 0, interruptions: 0, crashes: 0 },
    ]);
    await restart(id, { attempt: 1 }); // answered late, sent again
    await restart(id, { avoidNode: false });
    await expectWhole(id, 3);
    expect(await specOf(second)).not.toHaveProperty('avoidNodes');
    expect(await training.messages(id)).toEqual(
      expect.arrayContaining([
        'Restarting elsewhere: attempt 1 on gpu-1 is being ended',
        'Attempt 2 goes on from step 4.',
        'Restarting: attempt 2 is being ended',
        'Attempt 3 goes on from step 4.',
      ]),
    );
  });

  it('is refused where nothing is live, and does not take a cancellation back', async () => {
    const refused = { code: 'job.not-restartable' };
    const id = await atStep4();
    const waiting = await training.submit();
    await training.until(waiting.id, 'queued');
    await expect(restart(waiting.id)).rejects.toMatchObject(refused);
    await training.bus.request(cancelJob, { jobId: id });
    await expect(restart(id)).rejects.toMatchObject(refused);
    await training.until(id, 'cancelled');
    await expect(restart(id)).rejects.toMatchObject(refused);
    await training.until(waiting.id, 'succeeded');
  });

  it.each(['Restarting', 'Attempt 2 goes on from step 4'])(
    'is done once, whatever crashes at "%s"',
    async (message) => {
      const id = await atStep4();
      const seen = async (): Promise<boolean> =>
        (await training.stream(id)).some(({ type, data }) => type === 'job' && data['message'] === message);
      await restart(id);
      await waitFor(seen, { intervalMs: 1 });
      await training.crash();
      await training.startService();
      await expectWhole(id, 2);
    },
  );
});

describe('a crash', () => {
  const phases = [
    'validating',
    'preparing',
    'planning',
    'queued',
    'scheduling',
    'training',
    'registering',
    'evaluating',
  ] as const;

  it.each(phases)('around the phase "%s" and a new start end the same, with one model', async (phase) => {
    training.peers.script.push({ untilStep: 10, checkpointSteps: [5] });
    const { id } = await training.submit();
    const seen = async (): Promise<boolean> => {
      const entries = await training.stream(id);
      return entries.some(({ type, data }) => type === 'job' && data['phase'] === phase);
    };
    await waitFor(seen, { intervalMs: 1 });
    await training.crash();
    await training.startService();
    const job = await training.until(id, 'succeeded');
    expect((await training.losses(id)).map(({ step }) => step)).toEqual(numbered(10));
    expect(training.peers.models.size).toBe(1);
    expect(job.attempts).toHaveLength(1);
    expect(training.peers.mostAtOnce).toBe(1);
    expect(await training.outbox(id)).toEqual(['luthier.v1.event.training.job.succeeded']);
    const entries = await training.stream(id);
    expect(entries.map((entry) => entry.id)).toEqual(numbered(entries.length));
    const made = (await training.messages(id)).filter((message) => message.startsWith('New fine-tuned model'));
    expect(made).toHaveLength(1);
  });
});

describe('the live stream', () => {
  it('has neither gap nor double for a reader that follows it while many write and some roll back', async () => {
    training.peers.datasetState = 'preparing';
    const { id } = await training.submit();
    const store = training.store;
    let writing = true;
    const write = async (n: number): Promise<void> => {
      await store.change(id, async (tx) => {
        await tx.event({ level: 'info', type: 'message', message: `Note ${n}` });
        if (n % 3 === 0) throw new Error('rolled back');
      });
    };
    const writers = Promise.allSettled(numbered(60).map(write)).then((results) => {
      writing = false;
      return results.filter(({ status }) => status === 'fulfilled').length;
    });
    const read: StreamEntry[] = [];
    while (writing) read.push(...(await store.readStream(id, read.at(-1)?.id ?? 0, 7)));
    const kept = await writers;
    for (;;) {
      const more = await store.readStream(id, read.at(-1)?.id ?? 0, 7);
      if (more.length === 0) break;
      read.push(...more);
    }
    expect(kept).toBe(40);
    expect(read.map((entry) => entry.id)).toEqual(numbered(read.length));
    expect(read.filter(({ data }) => String(data['message']).startsWith('Note'))).toHaveLength(40);
  });
});
