import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ObjectCache } from './object-cache.js';
import type { KubeObject } from './objects.js';
import { keyOf } from './resources.js';

const object = (name: string, uid: string, resourceVersion: string): KubeObject => ({
  metadata: { namespace: 'ns', name, uid, resourceVersion },
});

describe('ObjectCache', () => {
  it('tells an object replaced by another of the same name as gone first', () => {
    const told: unknown[] = [];
    const cache = new ObjectCache<KubeObject>((key, now, before) =>
      told.push([key, now?.metadata?.uid, before?.metadata?.uid]),
    );
    cache.put(object('a', 'u1', '1'));
    cache.put(object('a', 'u2', '2'));
    expect(told).toEqual([
      ['ns/a', 'u1', undefined],
      ['ns/a', undefined, 'u1'],
      ['ns/a', 'u2', undefined],
    ]);
  });

  it('holds exactly what the last list held, and its changes lead there from what was before', () => {
    const entry = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), uid: fc.nat(2), version: fc.nat(3) });
    const list = fc.uniqueArray(entry, { selector: ({ name }) => name });
    fc.assert(
      fc.property(fc.array(list, { maxLength: 10 }), (lists) => {
        const mirror = new Map<string, KubeObject>();
        const cache = new ObjectCache<KubeObject>((key, now, before) => {
          expect(mirror.get(key)).toBe(before);
          expect(now ?? before).toBeDefined();
          if (now) mirror.set(key, now);
          else mirror.delete(key);
        });
        for (const entries of lists) {
          const objects = entries.map(({ name, uid, version }) => object(name, `${uid}`, `${uid}.${version}`));
          cache.replaceAll(objects);
          const wanted = objects.map((one) => [keyOf(one), one.metadata?.resourceVersion]).sort();
          expect([...mirror].map(([key, one]) => [key, one.metadata?.resourceVersion]).sort()).toEqual(wanted);
          expect(cache.list().length).toBe(objects.length);
        }
      }),
    );
  });
});
