import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { clusterProfile, clusterSettings } from './cluster-profile.js';

const page = readFileSync(new URL('../../../../docs/reference/cluster-profile.md', import.meta.url), 'utf8');

/** What the first columns of a section's table name. */
function fieldsOf(heading: string): string[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const cells = [...section.matchAll(/^\| (`[^|]*)\|/gm)].map(([, cell]) => cell ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? ''));
}

describe('docs/reference/cluster-profile.md', () => {
  it('has every setting of a cluster and no other', () => {
    expect(fieldsOf('The cluster').sort()).toEqual(Object.keys(clusterSettings.shape).sort());
  });

  it('has every field of a profile and no other', () => {
    expect(fieldsOf('A profile').sort()).toEqual(Object.keys(clusterProfile.shape).sort());
  });
});
