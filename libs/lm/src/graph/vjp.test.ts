import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { grad } from './grad.js';
import type { Node } from './node.js';
import * as ops from './ops.js';
import type { Executor, TensorData } from '../executor/executor.js';
import { EXECUTORS } from '../testing/executors.js';

let executor: Executor;

/** Deterministic values away from zero, so that div, log and sqrt are smooth. */
function values(count: number, seed: number, positive: boolean): Float32Array {
  let state = seed * 7919 + 17;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const magnitude = 0.5 + state / 0x7fffffff;
    return !positive && (state & 64) !== 0 ? -magnitude : magnitude;
  });
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

interface Case {
  readonly shapes: readonly (readonly number[])[];
  readonly build: (...inputs: Node[]) => Node;
  readonly positive?: boolean;
  readonly integers?: Readonly<Record<string, TensorData>>;
}

/**
 * Checks gradients of a random weighting of the output against central differences along a random direction. The
 * directional derivative sums over all elements, so its error is far below that of any single element.
 */
async function expectGradients({ shapes, build, positive = false, integers = {} }: Case): Promise<void> {
  const inputs = shapes.map((shape, i) => ops.input(`x${i}`, shape, 'parameter'));
  const output = build(...inputs);
  const weighting = ops.input('weighting', output.shape);
  const loss = ops.sum(
    ops.mul(output, weighting),
    output.shape.map((_, i) => i),
  );
  const gradients = grad(loss, inputs);
  const program = await executor.load({
    loss,
    ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])),
  });
  const outputDims = output.shape.map(Number);
  const feeds: Record<string, TensorData> = {
    ...integers,
    weighting: { data: values(size(outputDims), 99, false), dims: outputDims },
  };
  const base = shapes.map((shape, i) => values(size(shape), i + 1, positive));
  const direction = shapes.map((shape, i) => values(size(shape), i + 51, false));
  const lossAt = async (step: number): Promise<Map<string, TensorData>> => {
    shapes.forEach((dims, i) => {
      feeds[`x${i}`] = {
        data: (base[i] ?? new Float32Array()).map((v, k) => v + step * (direction[i]?.[k] ?? 0)),
        dims,
      };
    });
    return program.run(feeds);
  };
  const exact = await lossAt(0);
  let expected = 0;
  shapes.forEach((_, i) => {
    const g = exact.get(`g${i}`)?.data as Float32Array;
    expect(g.length).toBe(size(shapes[i] ?? []));
    g.forEach((value, k) => (expected += value * (direction[i]?.[k] ?? 0)));
  });
  const h = 1e-2;
  const at = async (step: number): Promise<number> => Number((await lossAt(step)).get('loss')?.data[0]);
  // Fourth-order central difference: truncation error h^4, rounding error 1e-7/h.
  const numeric = (8 * ((await at(h)) - (await at(-h))) - ((await at(2 * h)) - (await at(-2 * h)))) / (12 * h);
  const magnitude = Math.max(
    1,
    Math.abs(Number(exact.get('loss')?.data[0])),
    Math.abs(expected),
    Math.sqrt(size(outputDims)),
  );
  expect(Math.abs(numeric - expected) / magnitude).toBeLessThan(3e-3);
  await program.release();
}

const dim = fc.integer({ min: 1, max: 5 });
const property = (arbitrary: fc.Arbitrary<Case>): Promise<void> =>
  fc.assert(fc.asyncProperty(arbitrary, expectGradients), { numRuns: 12 });

const elementwise = (build: (x: Node) => Node, positive = false): fc.Arbitrary<Case> =>
  fc.tuple(dim, dim).map(([a, b]) => ({ shapes: [[a, b]], build, positive }));

/** Two shapes that broadcast with each other, in rank and in axes of size 1. */
const broadcasting = (build: (a: Node, b: Node) => Node): fc.Arbitrary<Case> =>
  fc
    .tuple(
      fc.array(dim, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 3, maxLength: 3 }),
      fc.integer({ min: 0, max: 2 }),
    )
    .map(([full, ones, drop]) => {
      const a = full.map((d, i) => (ones[i]?.[0] ? 1 : d));
      const b = full.map((d, i) => (ones[i]?.[1] ? 1 : d)).slice(Math.min(drop, full.length));
      return { shapes: [a, b], build };
    });

const int64 = (numbers: readonly number[], dims: readonly number[]): TensorData => ({
  data: BigInt64Array.from(numbers, BigInt),
  dims,
});

describe.each(EXECUTORS)('vector-Jacobian products agree with finite differences: %s', (_executor, create) => {
  beforeAll(async () => {
    executor = await create();
  });

  it.each([
    ['add', ops.add],
    ['sub', ops.sub],
    ['mul', ops.mul],
    ['div', ops.div],
  ])('%s, broadcast in every way', (_name, build) => property(broadcasting(build)));

  it.each<[string, (x: Node) => Node, boolean]>([
    ['neg', ops.neg, false],
    ['exp', ops.exp, false],
    ['log', ops.log, true],
    ['sqrt', ops.sqrt, true],
    ['sigmoid', ops.sigmoid, false],
    ['silu', ops.silu, false],
    ['tanh', ops.tanh, false],
    ['geluTanh', ops.geluTanh, false],
    ['softmax', ops.softmax, false],
    ['logSoftmax', ops.logSoftmax, false],
    ['transpose', (x) => ops.transpose(x, [1, 0]), false],
    ['reshape', (x) => ops.reshape(x, [Number(x.shape[1]), Number(x.shape[0]), 1]), false],
    ['sum of an axis', (x) => ops.sum(x, [0]), false],
    ['sum of an axis, kept', (x) => ops.sum(x, [1], true), false],
    ['sum of all axes', (x) => ops.sum(x, [0, 1]), false],
    ['boundary', ops.boundary, false],
    ['a value used twice', (x) => ops.mul(x, ops.add(x, x)), false],
  ])('%s', (_name, build, positive) => property(elementwise(build, positive)));

  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('matmul with transA %s and transB %s, batched and broadcast', (transA, transB) =>
    property(
      fc
        .tuple(dim, dim, dim, dim, fc.boolean(), fc.integer({ min: 0, max: 1 }))
        .map(([batch, m, k, n, single, drop]) => {
          const a = [batch, ...(transA ? [k, m] : [m, k])];
          const b = [single ? 1 : batch, ...(transB ? [n, k] : [k, n])].slice(drop);
          return { shapes: [a, b], build: (x, y) => ops.matmul(x, y, { transA, transB }) };
        }),
    ),
  );

  it('after', () => property(broadcasting((a, b) => ops.add(ops.after(a, [b]), b))));

  it('broadcastLike', () =>
    property(
      fc.tuple(dim, dim).map(([a, b]) => ({
        shapes: [
          [1, b],
          [a, b],
        ],
        build: (x, y) => ops.mul(ops.broadcastLike(x, y), y),
      })),
    ));

  it('rmsNorm, by input and by weight', () =>
    property(
      fc.tuple(dim, dim).map(([n, d]) => ({ shapes: [[n, d], [d]], build: (x, w) => ops.rmsNorm(x, w, 1e-2) })),
    ));

  it('rope', () =>
    property(
      fc.tuple(dim, dim, dim).map(([n, heads, half]) => {
        const angles = Float32Array.from({ length: 8 * half }, (_, i) => i * 0.37);
        return {
          shapes: [[n, heads * half * 2]],
          integers: {
            positions: int64(
              Array.from({ length: n }, (_, i) => (i * 3) % 8),
              [1, n],
            ),
            cos: { data: angles.map(Math.cos), dims: [8, half] },
            sin: { data: angles.map(Math.sin), dims: [8, half] },
          },
          build: (x) =>
            ops.rope(
              x,
              ops.input('positions', [1, n], 'feed', 'int64'),
              ops.input('cos', [8, half]),
              ops.input('sin', [8, half]),
            ),
        };
      }),
    ));

  it('gatherRows and scatterAddRows with repeated rows', () =>
    property(
      fc.tuple(dim, dim, dim).map(([n, s, d]) => ({
        shapes: [
          [n, d],
          [s, d],
        ],
        integers: {
          rows: int64(
            Array.from({ length: s }, (_, i) => (i * 2) % n),
            [s],
          ),
        },
        build: (x, y) => {
          const rows = ops.input('rows', [s], 'feed', 'int64');
          return ops.mul(ops.scatterAddRows(ops.mul(ops.gatherRows(x, rows), y), rows, x), x);
        },
      })),
    ));

  it('mixValues, by scores and by values', () =>
    property(
      fc.tuple(dim, dim, dim, dim).map(([batch, m, n, d]) => ({
        shapes: [
          [batch, m, n],
          [batch, n, d],
        ],
        build: (scores, values) => ops.mixValues(scores, values),
      })),
    ));

  it('matmul by a constant', () =>
    property(
      fc.tuple(dim, dim, dim).map(([m, k, n]) => ({
        shapes: [
          [m, k],
          [n, k],
        ],
        build: (a, b) => ops.matmul(a, b, { transB: true, alpha: 0.3 }),
      })),
    ));

  it('moveRows into a grid and back, with rows left out and places left empty', () =>
    property(
      fc.tuple(dim, dim, dim, dim, fc.boolean()).map(([rows, length, d, count, back]) => {
        const places = rows * length;
        const placeOf = (row: number): number => (2 * row < places ? 2 * row : places);
        const rowAt = (place: number): number => (place % 2 === 0 && place / 2 < count ? place / 2 : count);
        const [grid, list] = [
          [rows, length, d],
          [count, d],
        ];
        return {
          shapes: back ? [grid, list] : [list, grid],
          integers: {
            rows: int64(
              Array.from({ length: places }, (_, place) => rowAt(place)),
              [rows, length],
            ),
            places: int64(
              Array.from({ length: count }, (_, row) => placeOf(row)),
              [count],
            ),
          },
          build: (x, y) => {
            const into = ops.input('rows', [rows, length], 'feed', 'int64');
            const from = ops.input('places', [count], 'feed', 'int64');
            return ops.mul(back ? ops.moveRows(x, from, into) : ops.moveRows(x, into, from), y);
          },
        };
      }),
    ));

  it('pickLast, addAtLast and crossEntropy', () =>
    property(
      fc.tuple(dim, dim).map(([s, v]) => ({
        shapes: [[s, v]],
        integers: {
          labels: int64(
            Array.from({ length: s }, (_, i) => (i * 2) % v),
            [s, 1],
          ),
        },
        build: (x) => {
          const labels = ops.input('labels', [s, 1], 'feed', 'int64');
          const moved = ops.addAtLast(x, labels, ops.exp(ops.pickLast(x, labels)));
          return ops.crossEntropy(moved, labels);
        },
      })),
    ));

  it('concat and slice', () =>
    property(
      fc.tuple(dim, dim, dim).map(([n, a, b]) => ({
        shapes: [
          [n, a],
          [n, b],
        ],
        build: (x, y) => ops.mul(ops.slice(ops.concat([x, y, x], 1), 1, a - 1, a + b + 1), ops.constant(2)),
      })),
    ));
});
