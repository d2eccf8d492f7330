import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { evaluationRecord, jobRecord, modelRecord, tuning } from '@luthier/contracts';
import { jobRecordOf } from '../testing/builders.js';
import { fromWire, renameInJsonSchema, snakeName, toWire } from './snake-case.js';

/** Every kind of schema that contracts use, nested. */
const everything = z.object({
  plainText: z.string(),
  snake_already: z.number(),
  adamBeta1: z.number().nullable(),
  maybeGone: z.object({ innerFlag: z.boolean() }).optional(),
  withDefault: z.object({ deepValue: z.int() }).default({ deepValue: 1 }),
  freeMap: z.record(z.string(), z.object({ rougeL: z.number() })),
  looseMap: z.record(z.string(), z.unknown()),
  listOfThings: z.array(z.object({ itemName: z.string(), nestedList: z.array(z.array(z.object({ aB: z.int() }))) })),
  pairOf: z.tuple([z.object({ firstOne: z.string() }), z.number()]),
  eitherOr: z.union([z.literal('auto'), z.strictObject({ leftSide: z.int() }), z.strictObject({ rightSide: z.int() })]),
  byKind: z.discriminatedUnion('kindName', [
    z.strictObject({ kindName: z.literal('a'), onlyA: z.int() }),
    z.strictObject({ kindName: z.literal('b'), onlyB: z.object({ evenDeeper: z.string() }) }),
  ]),
});

const key = fc.oneof(fc.string(), fc.constantFrom('fooBar', 'foo_bar', '__proto__', 'constructor', 'toString'));
const arbitrary = fc.record(
  {
    plainText: fc.string(),
    snake_already: fc.integer(),
    adamBeta1: fc.option(fc.integer()),
    maybeGone: fc.record({ innerFlag: fc.boolean() }),
    withDefault: fc.record({ deepValue: fc.integer() }),
    freeMap: fc.dictionary(key, fc.record({ rougeL: fc.integer() })),
    looseMap: fc.dictionary(key, fc.jsonValue()),
    listOfThings: fc.array(
      fc.record({ itemName: fc.string(), nestedList: fc.array(fc.array(fc.record({ aB: fc.integer() }))) }),
      { maxLength: 3 },
    ),
    pairOf: fc.tuple(fc.record({ firstOne: fc.string() }), fc.integer()),
    eitherOr: fc.oneof(
      fc.constant('auto'),
      fc.record({ leftSide: fc.integer() }),
      fc.record({ rightSide: fc.integer() }),
    ),
    byKind: fc.oneof(
      fc.record({ kindName: fc.constant('a'), onlyA: fc.integer() }),
      fc.record({ kindName: fc.constant('b'), onlyB: fc.record({ evenDeeper: fc.string() }) }),
    ),
  },
  { requiredKeys: ['plainText', 'freeMap', 'byKind', 'pairOf', 'eitherOr', 'listOfThings', 'looseMap', 'adamBeta1'] },
);

/** Through JSON, as on the wire: no prototypes. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('the wire form', () => {
  it('comes back as it was, whatever the value', () => {
    fc.assert(
      fc.property(arbitrary, (value) => {
        expect(plain(fromWire(everything, plain(toWire(everything, value))))).toEqual(plain(value));
      }),
      { numRuns: 300 },
    );
  });

  it('renames declared keys only: keys of maps are data', () => {
    const value = {
      freeMap: { keepMe: { rougeL: 1 } },
      looseMap: { soIs: { thisOne: 1 } },
      byKind: { kindName: 'a', onlyA: 1 },
    };
    expect(toWire(everything, value)).toEqual({
      free_map: { keepMe: { rouge_l: 1 } },
      loose_map: { soIs: { thisOne: 1 } },
      by_kind: { kind_name: 'a', only_a: 1 },
    });
    expect(['loraAlpha', 'adamBeta1', 'rougeL', 'n_epochs', 'id'].map(snakeName)).toEqual([
      'lora_alpha',
      'adam_beta1',
      'rouge_l',
      'n_epochs',
      'id',
    ]);
  });

  it('takes a parsed job record there and back', () => {
    const job = jobRecordOf({ metadata: { teamName: 'a' } });
    const wire = toWire(jobRecord, job);
    expect(wire).toMatchObject({
      training_file: job.trainingFile,
      tuning: { lora_alpha: 32 },
      metadata: { teamName: 'a' },
    });
    expect(jobRecord.parse(fromWire(jobRecord, wire))).toEqual(job);
  });

  it('does not let the inner spelling pass for the public one', () => {
    const body = { type: 'freeze', trainableLayers: 2 };
    const parsed = tuning.safeParse(fromWire(tuning, body));
    expect(parsed.success).toBe(false);
    expect(JSON.stringify(parsed.error?.issues)).toContain('trainableLayers (camelCase)');
  });

  it('refuses a schema in which two keys would become one', () => {
    const clash = z.object({ fooBar: z.string(), foo_bar: z.string() });
    expect(() => toWire(clash, { fooBar: 'x' })).toThrow('same name in snake_case');
  });

  it.each([
    ['job', jobRecord],
    ['model', modelRecord],
    ['evaluation', evaluationRecord],
    ['everything', everything],
  ])('is what the JSON schema of %s describes', (_name, schema) => {
    const described = z.toJSONSchema(schema, { override: renameInJsonSchema });
    const names: string[] = [];
    JSON.stringify(described, (property: string, value: unknown) => {
      if (property === 'properties' && typeof value === 'object' && value !== null) names.push(...Object.keys(value));
      return value;
    });
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => /[A-Z]/.test(name))).toEqual([]);
  });
});
