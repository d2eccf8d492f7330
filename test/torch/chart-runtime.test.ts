import { expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { knownCapabilities } from '../chart/support/known-runtimes.js';
import { command as torch, describeWithTorch } from './torch-environment.js';

describeWithTorch("the chart's runtime-torch", () => {
  it('can do what runtime-torch says of a machine without a GPU', async () => {
    const [file = '', ...command] = torch;
    const { stdout } = await promisify(execFile)(file, [...command, 'capabilities'], { timeout: 300_000 });
    const { devices, ...said } = JSON.parse(stdout) as { devices: unknown; precisions: string[] };
    expect(devices).toHaveLength(1);
    // Some processors have instructions for bfloat16; the chart speaks of any.
    const precisions = said.precisions.filter((precision) => precision !== 'bfloat16');
    expect(await knownCapabilities('runtime-torch')).toEqual({ ...said, precisions });
  });
});
