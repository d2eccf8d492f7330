import { beforeAll, describe, expect, it } from '@jest/globals';
import * as ops from '../../graph/ops.js';
import type { TensorData } from '../executor.js';
import { tensorFlowFlavours } from './flavours.js';
import type { Tf } from './flavours.js';
import { TensorFlowExecutor } from './tensorflow-executor.js';

const matrix = (rows: number, columns: number): TensorData => ({
  data: Float32Array.from({ length: rows * columns }, (_, i) => ((i * 7) % 11) / 10 - 0.5),
  dims: [rows, columns],
});

/** x [N, 8] times a frozen weight, in a way that leaves values to free at every step. */
function graph() {
  const x = ops.input('x', ['N', 8]);
  const w = ops.input('w', [6, 8], 'weight');
  const y = ops.softmax(ops.silu(ops.matmul(x, w, { transB: true })));
  return { y, total: ops.sum(ops.boundary(y), [0, 1]) };
}

let executor: TensorFlowExecutor;
beforeAll(async () => {
  executor = await TensorFlowExecutor.create();
});

describe('TensorFlow.js as an executor', () => {
  it('holds no more tensors and bytes after 200 runs than after one, and none after release', async () => {
    const { tf } = executor.flavour;
    const before = tf.memory();
    const program = await executor.load(graph());
    const feeds = { x: matrix(5, 8), w: matrix(6, 8) };
    await program.run(feeds);
    const first = tf.memory();
    for (let i = 0; i < 200; i += 1) await program.run(feeds);
    const { numTensors, numDataBuffers, numBytes } = first;
    expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers, numBytes });
    await program.release();
    expect(tf.memory()).toMatchObject({ numTensors: before.numTensors, numBytes: before.numBytes });
  });

  it('frees what it made when a run fails half-way', async () => {
    const { tf } = executor.flavour;
    const program = await executor.load({
      y: ops.gatherRows(ops.exp(ops.input('x', ['N', 8])), ops.input('rows', ['S'], 'feed', 'int64')),
    });
    const before = tf.memory().numTensors;
    const rows = { data: BigInt64Array.of(1n, 99n), dims: [2] };
    await expect(program.run({ x: matrix(5, 8), rows })).rejects.toThrow();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('writes results where they are asked for, and takes a weight that was replaced', async () => {
    const program = await executor.load(graph());
    const place = { data: new Float32Array(30), dims: [5, 6] };
    await program.run({ x: matrix(5, 8), w: matrix(6, 8) }, { y: place });
    const kept = [...place.data];
    expect(kept.slice(0, 6).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
    await program.run({ x: matrix(5, 8), w: { data: new Float32Array(48), dims: [6, 8] } }, { y: place });
    expect(place.data[0]).toBeCloseTo(1 / 6, 6);
    await program.release();
  });

  it('names the input whose shape is wrong', async () => {
    const program = await executor.load(graph());
    await expect(program.run({ x: matrix(5, 7), w: matrix(6, 8) })).rejects.toThrow('"x" has shape [5, 7], not [N, 8]');
    await expect(program.run({ w: matrix(6, 8) })).rejects.toThrow('"x"');
  });

  it('refuses a step that would outgrow the heap before it computes anything, and says what to do', async () => {
    const small = await TensorFlowExecutor.create({ wasmHeapBytes: 1_000 });
    const program = await small.load(graph());
    const { tf } = small.flavour;
    const before = tf.memory().numTensors;
    await expect(program.run({ x: matrix(50, 8), w: matrix(6, 8) })).rejects.toThrow(
      /failed to allocate.*layer-recompute/,
    );
    expect(tf.memory().numTensors).toBe(before);
    expect((await program.run({ x: matrix(2, 8), w: matrix(6, 8) })).get('y')?.dims).toEqual([2, 6]);
    await program.release();
  });
});

describe('flavours of TensorFlow.js', () => {
  const { flavour } = { flavour: () => executor.flavour.tf };

  it('are passed over with the reason when they are missing, or load and do not compute', async () => {
    const broken = {
      ...flavour(),
      tidy: () => {
        throw new TypeError('isNullOrUndefined is not a function');
      },
    } as unknown as Tf;
    const states = await tensorFlowFlavours((name) => {
      if (name === 'tfjs-node-gpu') return Promise.reject(new Error('Cannot find package\nRequire stack'));
      return Promise.resolve(name === 'tfjs-node' ? broken : flavour());
    });
    expect(states).toEqual([
      { name: 'tfjs-node-gpu', usable: false, reason: 'Cannot find package' },
      { name: 'tfjs-node', usable: false, reason: 'isNullOrUndefined is not a function' },
      { name: 'tfjs-wasm', usable: true },
    ]);
  });

  it('are taken in the order of their speed', async () => {
    const native = await TensorFlowExecutor.create({ load: () => Promise.resolve(flavour()) });
    expect(native.flavour.name).toBe('tfjs-node-gpu');
  });

  it('leave an error with every reason when none computes', async () => {
    const none = TensorFlowExecutor.create({ load: (name) => Promise.reject(new Error(`no ${name}`)) });
    await expect(none).rejects.toThrow(
      'tfjs-node-gpu: no tfjs-node-gpu; tfjs-node: no tfjs-node; tfjs-wasm: no tfjs-wasm',
    );
  });
});
