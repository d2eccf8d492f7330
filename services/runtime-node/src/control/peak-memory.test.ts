import { expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const MODULE = new URL('./peak-memory.ts', import.meta.url).href;
const CHILD = `import { peakMemoryMib } from ${JSON.stringify(MODULE)}; console.log(peakMemoryMib());`;
/** Tells its own peak and that of a child that it starts while it holds 600 MiB. */
const PARENT = `
  import { execFileSync } from 'node:child_process';
  import { peakMemoryMib } from ${JSON.stringify(MODULE)};
  const held = Buffer.alloc(600 * 1024 * 1024, 1);
  const args = ['--input-type=module', '-e', ${JSON.stringify(CHILD)}];
  const child = Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  console.log(JSON.stringify({ child, own: peakMemoryMib(), heldMib: held.length / 1024 / 1024 }));`;

(existsSync('/proc/self/status') ? it : it.skip)(
  'is what the process itself has held, however much the one that started it held',
  () => {
    const told = execFileSync(process.execPath, ['--input-type=module', '-e', PARENT], { encoding: 'utf8' });
    const { child, own, heldMib } = JSON.parse(told) as Record<'child' | 'own' | 'heldMib', number>;
    expect(own).toBeGreaterThan(heldMib);
    expect(child).toBeGreaterThan(10); // no Node is smaller
    expect(child).toBeLessThan(heldMib / 2);
  },
);
