import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JOBS, NODES, PODS, keyOf, pathOf } from './resources.js';

describe('pathOf', () => {
  it('names lists, objects and subresources of core and other groups', () => {
    expect(pathOf(PODS)).toBe('/api/v1/pods');
    expect(pathOf(PODS, { namespace: 'ns', name: 'p', subresource: 'log' })).toBe('/api/v1/namespaces/ns/pods/p/log');
    expect(pathOf(JOBS, { namespace: 'ns' })).toBe('/apis/batch/v1/namespaces/ns/jobs');
    expect(pathOf(NODES, { namespace: 'ignored', name: 'n' })).toBe('/api/v1/nodes/n');
  });

  it('lets no name point to another path', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (name) => {
        fc.pre(name !== '.' && name !== '..' && name.isWellFormed());
        const url = new URL(pathOf(JOBS, { namespace: 'ns', name }), 'http://localhost');
        expect(url.pathname.split('/').length).toBe(8);
        expect(url.search + url.hash).toBe('');
        expect(decodeURIComponent(url.pathname.split('/')[7] ?? '')).toBe(name);
      }),
    );
    for (const name of ['', '.', '..']) expect(() => pathOf(JOBS, { namespace: 'ns', name })).toThrow(TypeError);
  });
});

describe('keyOf', () => {
  it('is the name with its namespace, if it has one', () => {
    expect(keyOf({ metadata: { namespace: 'ns', name: 'a' } })).toBe('ns/a');
    expect(keyOf({ metadata: { name: 'a' } })).toBe('a');
  });
});
