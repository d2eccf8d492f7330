import { describe, expect, it } from '@jest/globals';
import { isTest, manifests, productSources } from './sources.js';

const packages = manifests();
const ours = new Map(packages.map((p) => [p.name, p]));
const isLib = (name: string): boolean => ours.get(name)?.folder.startsWith('libs/') ?? false;
const isService = (name: string): boolean => ours.get(name)?.folder.startsWith('services/') ?? false;

/** Pure libraries: no process, no network, no other library of ours but the ones named. */
const PURE: Readonly<Record<string, readonly string[]>> = {
  '@luthier/contracts': [],
  '@luthier/metrics': ['@luthier/contracts'],
  '@luthier/planner': ['@luthier/contracts'],
  '@luthier/formats': ['@luthier/contracts'],
  '@luthier/text': ['@luthier/contracts'],
  '@luthier/artifacts': ['@luthier/contracts'],
  '@luthier/messaging': ['@luthier/contracts'],
  '@luthier/kube': ['@luthier/contracts'],
};

describe('dependency rules', () => {
  it('libraries never depend on services', () => {
    const wrong = packages.filter((p) => isLib(p.name)).filter((p) => p.dependencies.some(isService));
    expect(wrong.map((p) => p.name)).toEqual([]);
  });

  it('services never depend on each other; standalone composes them and cli starts standalone', () => {
    const wrong = packages
      .filter((p) => isService(p.name) && p.name !== '@luthier/standalone' && p.name !== '@luthier/cli')
      .flatMap((p) => p.dependencies.filter(isService).map((d) => `${p.name} -> ${d}`));
    expect(wrong).toEqual([]);
    expect(ours.get('@luthier/cli')?.dependencies.filter(isService)).toEqual(['@luthier/standalone']);
  });

  it.each(Object.entries(PURE))('%s imports no library of ours but the ones it may', (name, allowed) => {
    const manifest = ours.get(name);
    expect(manifest).toBeDefined();
    expect(manifest?.dependencies.filter((d) => ours.has(d) && !allowed.includes(d))).toEqual([]);
  });

  it('no product code depends on libs/testing', () => {
    expect(packages.filter((p) => p.dependencies.includes('@luthier/testing')).map((p) => p.name)).toEqual([]);
  });

  it('the libraries form no cycle', () => {
    const visit = (name: string, path: readonly string[]): void => {
      if (path.includes(name)) throw new Error(`cycle: ${[...path, name].join(' -> ')}`);
      for (const next of ours.get(name)?.dependencies ?? []) if (ours.has(next)) visit(next, [...path, name]);
    };
    expect(() => packages.forEach((p) => visit(p.name, []))).not.toThrow();
  });

  it('a package imports only what its own manifest names', () => {
    const wrong: string[] = [];
    for (const file of productSources()) {
      const owner = packages.find((p) => file.path.startsWith(`${p.folder}/`));
      if (!owner) continue;
      const allowed = new Set([owner.name, ...owner.dependencies, ...(isTest(file.path) ? owner.devDependencies : [])]);
      for (const [, specifier] of file.text.matchAll(/(?:from|import)\s*\(?\s*'(@luthier\/[a-z-]+)/g)) {
        if (specifier !== undefined && !allowed.has(specifier)) wrong.push(`${file.path}: ${specifier}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
