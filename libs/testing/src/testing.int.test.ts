import { stat } from 'node:fs/promises';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { startNats, startPostgres, tempDir, waitFor } from './index.js';

describe('waitFor', () => {
  it('returns the first truthy answer, and takes a throwing look as "not yet"', async () => {
    let looks = 0;
    const found = await waitFor(() => {
      if (++looks < 3) throw new Error('not yet');
      return looks;
    });
    expect(found).toBe(3);
  });

  it('gives up with what it waited for and the last error', async () => {
    const waiting = waitFor(() => Promise.reject(new Error('nobody home')), { timeoutMs: 30, what: 'an answer' });
    await expect(waiting).rejects.toMatchObject({
      message: 'waited 30 ms in vain for an answer',
      cause: { message: 'nobody home' },
    });
  });
});

describe('startPostgres', () => {
  afterAll(async () => (await startPostgres()).stop());

  it('gives every caller of a process the same server, and every test its own database', async () => {
    const [first, second] = await Promise.all([startPostgres(), startPostgres()]);
    expect(first.port).toBe(second.port);
    const [a, b] = await Promise.all([first.createDatabase(), second.createDatabase()]);
    expect(a.name).not.toBe(b.name);
    const client = new Client({ connectionString: a.url });
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query<{ current_database: string }>('select current_database()');
    expect(rows[0]?.current_database).toBe(a.name);
    await first.stop(); // also with a connection open
    await second.stop();
  });
});

describe('startNats', () => {
  it('keeps its port over kill and restart, and ends with its files', async () => {
    const nats = await startNats();
    const connection = await nats.connect();
    try {
      await nats.kill();
      await nats.restart();
      await waitFor(() => connection.flush().then(() => true));
    } finally {
      await nats.stop();
    }
    expect(connection.isClosed()).toBe(true);
  });
});

describe('tempDir', () => {
  it('is a new folder each time', async () => {
    const [a, b] = [await tempDir(), await tempDir()];
    expect(a).not.toBe(b);
    expect((await stat(a)).isDirectory()).toBe(true);
  });
});
