import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readRunLog } from '@luthier/contracts';
import type { ResponseOf } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes } from '@luthier/testing/kube';
import { TrainingCluster } from '../testing/cluster/training-cluster.js';

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('the log of a pod', () => {
  let place: TrainingCluster;
  beforeAll(async () => {
    place = await TrainingCluster.start();
    await place.startTrainer();
  }, 900_000);
  afterAll(() => place.stop());

  const stepsIn = (text: string): number[] => [...text.matchAll(/^step (\d+)$/gm)].map(([, step]) => Number(step));
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

  /** Reads on as the gateway does: what cannot be had now is asked for again. */
  class Follower {
    text = '';
    private cursor: string | undefined;
    constructor(private readonly runId: string) {}

    async readOn(): Promise<ResponseOf<typeof readRunLog> | undefined> {
      const bus = new MessageBus(place.harness.connection);
      const after = this.cursor === undefined ? {} : { after: this.cursor };
      const piece = await bus
        .request(readRunLog, { runId: this.runId, tailBytes: 200_000, ...after })
        .catch(() => undefined);
      this.text += piece?.text ?? '';
      this.cursor = piece?.cursor ?? this.cursor;
      return piece;
    }

    until(fits: () => boolean, what: string): Promise<unknown> {
      const look = async (): Promise<boolean> => {
        await this.readOn();
        return fits();
      };
      return waitFor(look, { intervalMs: 50, what });
    }
  }

  it('is followed without gap or double, over a kill of the API server and beyond the end of the pod', async () => {
    const steps = 150;
    const runId = await place.put({ type: 'process', behaviour: { steps, stepMs: 60 } });
    const follower = new Follower(runId);
    await follower.until(() => stepsIn(follower.text).length >= 10, 'the first steps');
    await place.cluster.stopApiServer();
    await follower.readOn();
    await place.cluster.startApiServer();
    await follower.until(() => stepsIn(follower.text).length >= 40, 'steps after the kill');
    expect(await place.see(runId)).toMatchObject({ reason: 'succeeded' });
    await place.untilNoObjects();
    await follower.until(() => stepsIn(follower.text).length >= steps, 'the last step');
    await follower.readOn();
    expect(stepsIn(follower.text)).toEqual(upTo(steps));
  });

  it('begins with the end of what is there, and is read whole when it is over', async () => {
    const runId = await place.put({ type: 'process', behaviour: { steps: 20, stepMs: 5 } });
    await place.see(runId);
    const bus = new MessageBus(place.harness.connection);
    expect(stepsIn((await bus.request(readRunLog, { runId, tailBytes: 200_000 })).text)).toEqual(upTo(20));
    const short = await bus.request(readRunLog, { runId, tailBytes: 30 });
    expect(short).toMatchObject({ truncated: true });
    expect(Buffer.byteLength(short.text)).toBe(30);
  });
});
