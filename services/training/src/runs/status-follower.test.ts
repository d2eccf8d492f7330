import { describe, expect, it, jest } from '@jest/globals';
import type { RunsBucket } from '@luthier/messaging';
import { createLogger } from '@luthier/service-kit';
import type { JobWorker } from '../jobs/job-worker.js';
import type { JobStore } from '../jobs/job.store.js';
import type { RunStore } from './run.store.js';
import { StatusFollower } from './status-follower.js';

describe('the status follower', () => {
  it('goes on following when the database cannot be reached during a list', async () => {
    const lists = async function* () {
      yield { type: 'list', entries: [] };
      yield { type: 'list', entries: [] };
    };
    const reproject = jest
      .fn<() => Promise<void>>()
      .mockRejectedValueOnce(new Error('the database is restarting'))
      .mockResolvedValue();
    const follower = new StatusFollower(
      { watch: lists } as unknown as RunsBucket,
      {} as RunStore,
      {} as JobStore,
      { reproject } as unknown as JobWorker,
      createLogger({ service: 'training', level: 'silent' }),
    );
    follower.onApplicationBootstrap();
    await follower.onApplicationShutdown();
    expect(reproject).toHaveBeenCalledTimes(2);
  });
});
