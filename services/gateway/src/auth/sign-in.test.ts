import { describe, expect, it } from '@jest/globals';
import { isKnownHash, newApiKey, secretHash } from './api-key.js';
import { LoginLimit } from './login-limit.js';
import { isForeignOrigin, isSameOrigin } from './same-origin.js';

describe('keys', () => {
  it('are long, random and found by their hash', () => {
    const [one, two] = [newApiKey(), newApiKey()];
    expect(one).toMatch(/^lk-[\w-]{43}$/);
    expect(one).not.toBe(two);
    expect(isKnownHash(secretHash(one), [secretHash(two), secretHash(one)])).toBe(true);
    expect(isKnownHash(secretHash(one), [secretHash(two), 'ab', ''])).toBe(false);
    expect(isKnownHash(secretHash(one), [])).toBe(false);
  });
});

describe('the origin of a request', () => {
  const host = 'luthier.test:8080';
  it.each([
    [{ host, 'sec-fetch-site': 'same-origin' }, true, false],
    [{ host, 'sec-fetch-site': 'same-origin', origin: 'http://evil.test' }, true, false],
    [{ host, 'sec-fetch-site': 'cross-site', origin: `http://${host}` }, false, true],
    [{ host, 'sec-fetch-site': 'same-site' }, false, true],
    [{ host, 'sec-fetch-site': 'none' }, false, true],
    [{ host, origin: `http://${host}` }, true, false],
    [{ host, origin: 'http://luthier.test' }, false, true],
    [{ host, origin: 'null' }, false, true],
    [{ host }, false, false],
  ])('%j: own page %p, foreign page %p', (headers, same, foreign) => {
    expect(isSameOrigin(headers)).toBe(same);
    expect(isForeignOrigin(headers)).toBe(foreign);
  });
});

describe('the limit of wrong keys', () => {
  it('blocks one address for the rest of its window, and no other', () => {
    let now = 0;
    const limit = new LoginLimit(2, 1000, () => now);
    limit.failed('a');
    limit.check('a');
    limit.failed('a');
    expect(() => limit.check('a')).toThrow(expect.objectContaining({ code: 'request.rate-limited' }));
    limit.check('b');
    now = 1001;
    limit.check('a');
    limit.failed('a');
    limit.succeeded('a');
    limit.failed('a');
    limit.check('a');
  });

  it('remembers a bounded number of addresses', () => {
    const limit = new LoginLimit(1, 1000, () => 0);
    for (let n = 0; n <= 10_000; n++) limit.failed(`address-${n}`);
    limit.check('address-0');
    expect(() => limit.check('address-10000')).toThrow('Too many wrong keys');
  });
});
