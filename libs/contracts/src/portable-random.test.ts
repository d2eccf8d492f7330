import { describe, expect, it } from '@jest/globals';
import { RandomStream, epochOrder, loraInitialValues, threefry2x32 } from './portable-random.js';

describe('threefry2x32-20', () => {
  it('gives the known answers of the published generator', () => {
    expect(threefry2x32(0, 0, 0, 0)).toEqual([0x6b200159, 0x99ba4efe]);
    expect(threefry2x32(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff)).toEqual([0x1cb996fc, 0xbb002be7]);
    expect(threefry2x32(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toEqual([0xc4923a9c, 0x483df7a0]);
  });

  it('keeps its streams, orders and initial values for ever (a change breaks resuming and other runtimes)', () => {
    expect(new RandomStream(7, 'a').pair(3)).toMatchInlineSnapshot(`
     [
       2154473796,
       1094261286,
     ]
    `);
    expect([...epochOrder(8, 42, 0)]).toMatchInlineSnapshot(`
     [
       7,
       0,
       3,
       2,
       4,
       6,
       5,
       1,
     ]
    `);
    expect([...epochOrder(8, 42, 1)]).toMatchInlineSnapshot(`
     [
       2,
       1,
       4,
       7,
       0,
       5,
       3,
       6,
     ]
    `);
    expect([...loraInitialValues(42, 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight', 3, 576)])
      .toMatchInlineSnapshot(`
     [
       0.027393629774451256,
       -0.03661256656050682,
       0.011833538301289082,
     ]
    `);
  });

  it('orders every row exactly once and differently per epoch and seed', () => {
    const order = epochOrder(1000, 1, 0);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(epochOrder(1000, 1, 1)).not.toEqual(order);
    expect(epochOrder(1000, 2, 0)).not.toEqual(order);
  });

  it('spreads its uniform numbers evenly', () => {
    const values = new RandomStream(3, 'spread').uniform(100_001);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean).toBeGreaterThan(0.495);
    expect(mean).toBeLessThan(0.505);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
  });
});
