import { describe, expect, it } from '@jest/globals';
import { SERVICES } from '@luthier/contracts';
import { filesIn } from './sources.js';

/** Steps of before the first release that could be upgraded to. */
const BEFORE_UPGRADES = new Set(['services/registry/src/db/migrations/0001_model_files.sql']);

/** What the program of before would miss, or could not write any more. */
const TAKES_AWAY = [
  /\bdrop\s+(table|column|schema|type|constraint)\b/i,
  /\brename\b/i,
  /\balter\s+column\s+\S+\s+(set\s+not\s+null|set\s+data\s+type|type|drop\s+default)\b/i,
  /\badd\s+(column\s+)?"\w+"(?=[^;]*\bnot\s+null\b)(?![^;]*\bdefault\b)/i,
];

const withoutComments = (text: string): string => text.replaceAll(/^\s*--.*$/gm, '');

describe('migrations', () => {
  const files = SERVICES.flatMap((service) => filesIn(`services/${service}/src/db/migrations`, /\.sql$/));

  it('only add, so that the version before runs on the schema of the next: what is not needed goes a version later', () => {
    const wrong = files
      .filter(({ path }) => !BEFORE_UPGRADES.has(path))
      .filter(({ text }) => TAKES_AWAY.some((pattern) => pattern.test(withoutComments(text))));
    expect(files.length).toBeGreaterThan(0);
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it.each([
    'ALTER TABLE "a"."b" DROP COLUMN "c";',
    'ALTER TABLE "a"."b" RENAME COLUMN "c" TO "d";',
    'ALTER TABLE "a"."b" ALTER COLUMN "c" SET NOT NULL;',
    'ALTER TABLE "a"."b" ADD COLUMN "c" text NOT NULL;',
  ])('that take away are found: %s', (statement) => {
    expect(TAKES_AWAY.some((pattern) => pattern.test(statement))).toBe(true);
  });

  it('that add are let through', () => {
    const adds = `ALTER TABLE "a"."b" ADD COLUMN "c" text NOT NULL DEFAULT '';\nALTER TABLE "a"."b" ADD COLUMN "d" jsonb;`;
    expect(TAKES_AWAY.some((pattern) => pattern.test(adds))).toBe(false);
  });
});
