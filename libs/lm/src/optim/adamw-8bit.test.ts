import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { RandomStream } from '@luthier/contracts';
import { layOut, viewOf } from '../model/trained-parameters.js';
import { AdamW8bit } from './adamw-8bit.js';
import { AdamW } from './adamw.js';
import { BLOCK, dynamicCodes, encodeBlock } from './eight-bit-codes.js';
import { globalNorm, loraPlusShare } from './optimiser.js';
import type { Optimiser } from './optimiser.js';
import { isDecayed } from './weight-decay.js';

const SETTINGS = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 };
const RATE = 0.02;

/** Numbers of many magnitudes. */
const random = (count: number, name: string): Float32Array => {
  const stream = new RandomStream(1, name);
  const signs = stream.uniform(count);
  return new RandomStream(2, name).uniform(count).map((u, i) => ((signs[i] ?? 0) - 0.5) * Math.exp(6 * u - 3));
};

/** `start` after that many updates with gradients that depend on their number. */
function moved(optimiser: Optimiser, start: Float32Array, updates = 5): Float32Array {
  const values = start.slice();
  for (let i = 0; i < updates; i += 1) optimiser.update(values, random(values.length, `gradients ${i}`), RATE);
  return values;
}

describe('numbers in 8 bits', () => {
  it.each([
    [true, 'e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c'],
    [false, '305f002cc11278fb769d13b25b9fd0c7c83c8402c40a878fe086f4039fde6398'],
  ])('stand for what they stand for in bitsandbytes 0.50.2, to the bit; signed: %s', (signed, sha256) => {
    const { values } = dynamicCodes(signed);
    expect(createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex')).toBe(sha256);
  });

  it.each([true, false])(
    'are the nearest of 65,536 even steps to each number by the greatest; signed: %s',
    (signed) => {
      const codes = dynamicCodes(signed);
      const numbers = random(BLOCK, 'block').map((value) => (signed ? value : value * value));
      const into = new Uint8Array(BLOCK + 2).fill(7);
      const scale = encodeBlock(numbers, BLOCK, codes, into, 1);
      expect(scale).toBe(Math.max(...numbers.map(Math.abs)));
      expect([into[0], into[BLOCK + 1]]).toEqual([7, 7]);
      numbers.forEach((number, i) => {
        const distance = (code: number): number => Math.abs((codes.values[code] ?? 0) - number / scale);
        const least = Math.min(...Array.from(codes.values, (_, code) => distance(code)));
        expect(distance(into[i + 1] ?? 0)).toBeLessThanOrEqual(least + 2 / 65_535);
      });
    },
  );

  it('keep the greatest number exactly, and nothing of a block of zeros', () => {
    const codes = dynamicCodes(true);
    const into = new Uint8Array(3);
    expect(encodeBlock(Float32Array.of(0.1, 0.7, -0.3), 3, codes, into, 0)).toBe(Math.fround(0.7));
    expect(codes.values[into[1] ?? 0]).toBe(1);
    expect(encodeBlock(new Float32Array(3), 3, codes, into, 0)).toBe(0);
  });
});

describe('AdamW in 8 bits', () => {
  it.each([
    [64, 256],
    [64, 128],
    [20, 300],
  ])('stays near AdamW with a quarter of its state: %d rows of %d', (rows, width) => {
    const { tensors, count } = layOut([['w', [rows, width]]]);
    const start = random(count, 'start');
    const optimiser = new AdamW8bit(SETTINGS, tensors);
    const [found, exact] = [moved(optimiser, start), moved(new AdamW(SETTINGS, tensors), start)];
    const away = (a: Float32Array, b: Float32Array): number => globalNorm(a.map((value, i) => value - (b[i] ?? 0)));
    expect(away(found, exact)).toBeGreaterThan(0);
    expect(away(found, exact)).toBeLessThan(away(exact, start) / 20);
    const bytes = [...optimiser.state.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(bytes).toBe(2 * (count + 4 * rows * Math.ceil(width / BLOCK)));
  });

  it('moves a row alike whatever rows lie beside it', () => {
    const start = random(40 * 300, 'start');
    const rowsFrom = (first: number): Float32Array => {
      const { tensors } = layOut([['w', [40 - first, 300]]]);
      const [values, optimiser] = [start.slice(first * 300), new AdamW8bit(SETTINGS, tensors)];
      for (let i = 0; i < 3; i += 1) optimiser.update(values, start.slice(first * 300).map(Math.sin), RATE);
      return values;
    };
    expect(rowsFrom(20)).toEqual(rowsFrom(0).slice(20 * 300));
  });

  const mixed = layOut([
    ['model.layers.0.input_layernorm.weight', [70]],
    ['model.layers.0.mlp.up_proj.weight', [70, 70]],
    ['model.layers.0.self_attn.k_proj.weight', [30, 70]],
    ['model.layers.0.self_attn.k_proj.bias', [30]],
    ['x.lora_B.weight', [512, 8]],
    ['model.norm.weight', [70]],
  ]);
  const in8Bits = ['model.layers.0.mlp.up_proj.weight', 'x.lora_B.weight'];

  it('moves vectors and small matrices as AdamW does, to the bit, wherever they lie, each at its rate', () => {
    const start = random(mixed.count, 'start');
    const share = loraPlusShare(4);
    const found = moved(new AdamW8bit(SETTINGS, mixed.tensors, share), start);
    const exact = moved(new AdamW(SETTINGS, mixed.tensors, share), start);
    for (const tensor of mixed.tensors) {
      const [ours, theirs] = [viewOf(found, tensor), viewOf(exact, tensor)];
      const farthest = Math.max(...ours.map((value, i) => Math.abs(value - (theirs[i] ?? 0))));
      if (in8Bits.includes(tensor.name)) expect(farthest).toBeGreaterThan(0);
      else expect(farthest).toBe(0);
      expect(farthest).toBeLessThan(4 * RATE);
    }
  });

  it('decays matrices alone', () => {
    const start = random(mixed.count, 'start');
    const [plain, decayed] = [0, 0.5].map((weightDecay) =>
      moved(new AdamW8bit({ ...SETTINGS, weightDecay }, mixed.tensors), start),
    ) as [Float32Array, Float32Array];
    for (const tensor of mixed.tensors) {
      const [before, after] = [viewOf(plain, tensor), viewOf(decayed, tensor)];
      if (isDecayed(tensor)) expect(globalNorm(after)).toBeLessThan(globalNorm(before));
      else expect(after).toEqual(before);
    }
  });

  it('goes on from its stored state exactly', () => {
    const make = (): AdamW8bit => new AdamW8bit(SETTINGS, mixed.tensors);
    const first = make();
    const values = moved(first, random(mixed.count, 'start'), 3);
    const restored = make();
    restored.step = first.step;
    for (const [name, kept] of first.state) restored.state.get(name)?.set(kept);
    const [on, again] = [moved(first, values), moved(restored, values)];
    expect(again).toEqual(on);
    expect([restored.step, [...restored.state]]).toEqual([8, [...first.state]]);
    expect(moved(make(), values)).not.toEqual(on);
  });
});
