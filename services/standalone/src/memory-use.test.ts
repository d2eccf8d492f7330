import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { waitFor } from '@luthier/testing';
import { processTreePssMib, watchPeakPss } from './memory-use.js';

const linux = process.platform === 'linux' ? describe : describe.skip;

linux('memory of the process tree', () => {
  it('is at least our own private pages, and counts a child with what it holds', async () => {
    const rollup = await readFile('/proc/self/smaps_rollup', 'utf8');
    const ownMib = Number(/^Private_Dirty:\s+(\d+) kB/m.exec(rollup)?.[1]) / 1024;
    const before = (await processTreePssMib()) ?? 0;
    expect(before).toBeGreaterThan(ownMib * 0.8);
    const script = 'const b = Buffer.alloc(80 * 2 ** 20, 1); console.log(b.length); setInterval(() => b, 1000)';
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const alone = (await processTreePssMib(child.pid)) ?? 0;
      expect(alone).toBeGreaterThan(80);
      expect(((await processTreePssMib()) ?? 0) - alone).toBeGreaterThan(ownMib * 0.5);
      const peak = watchPeakPss(20);
      await waitFor(() => (peak.peakMib() ?? 0) > alone);
      const highest = peak.peakMib() ?? 0;
      peak.stop();
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(peak.peakMib()).toBeGreaterThanOrEqual(highest);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('of a process that is gone is nothing', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    expect(await processTreePssMib(child.pid)).toBe(0);
  });
});
