import { describe, expect, it } from '@jest/globals';
import { AppError } from '@luthier/contracts';
import { outlastOutage } from './store-outage.js';

describe('work over a store that is away', () => {
  const { signal } = new AbortController();
  const failing = (codes: ('storage.unreachable' | 'storage.not-found')[]) => {
    let tries = 0;
    return () => {
      const code = codes[tries++];
      return code === undefined ? Promise.resolve(tries) : Promise.reject(new AppError(code));
    };
  };

  it('is done when the store is back', async () => {
    expect(await outlastOutage(failing(['storage.unreachable']), signal)).toBe(2);
  });

  it('fails at once for every other reason, and for this one in the end', async () => {
    await expect(outlastOutage(failing(['storage.not-found']), signal)).rejects.toMatchObject({
      code: 'storage.not-found',
    });
    await expect(outlastOutage(failing(['storage.unreachable']), signal, 0)).rejects.toMatchObject({
      code: 'storage.unreachable',
    });
  });

  it('is left when the service stops', async () => {
    await expect(outlastOutage(failing(['storage.unreachable']), AbortSignal.abort())).rejects.toThrow('aborted');
  });
});
