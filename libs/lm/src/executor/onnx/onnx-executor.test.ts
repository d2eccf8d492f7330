import { expect, it } from '@jest/globals';
import * as ops from '../../graph/ops.js';
import { giveBack } from '../give-back.js';
import { OnnxExecutor } from './onnx-executor.js';

const SIZE = 1024;
const BYTES = SIZE * SIZE * 4;

it('ONNX Runtime leaves nothing behind of results that have a place', async () => {
  const x = ops.input('x', [SIZE, SIZE]);
  const program = await new OnnxExecutor({ threads: 1 }).load({ y: ops.scale(x, 2) });
  const feed = { data: new Float32Array(SIZE * SIZE).fill(3), dims: [SIZE, SIZE] };
  const place = { data: new Float32Array(SIZE * SIZE), dims: [SIZE, SIZE] };
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 5; i += 1) {
    const found = await program.run({ x: feed }, { y: place });
    expect(found.get('y')).toBe(place);
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(BYTES);
  expect(place.data.every((value) => value === 6)).toBe(true);
  await program.release();
});

it('memory that is given back is free at once', () => {
  const data = new Float32Array(SIZE * SIZE);
  // What else is collected meanwhile can only add to the difference.
  const before = process.memoryUsage().arrayBuffers;
  giveBack(data);
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThanOrEqual(BYTES);
  expect(data.length).toBe(0);
});
