import { describe, expect, it } from '@jest/globals';
import { engineStates } from './engine-states.js';
import { enginesText } from './engines.command.js';

const says = (engines: object[]): (() => Promise<string[]>) => {
  const answer = {
    ...{ runtime: 'runtime-node', version: '1', modes: ['train'], architectures: [], methods: [], tunings: [] },
    ...{ precisions: [], engines },
  };
  const program = `process.argv.at(-1) === 'capabilities' && console.log(${JSON.stringify(JSON.stringify(answer))})`;
  return () => Promise.resolve([process.execPath, '-e', program, '--']);
};

describe('the engines of a machine', () => {
  it('are those that the runtimes name, with their reasons', async () => {
    const engines = [
      { name: 'onnx-cpu', usable: true },
      { name: 'onnx-cuda', usable: false, reason: 'its library is missing' },
    ];
    expect(await engineStates({ 'runtime-node': says(engines) })).toEqual([
      { runtime: 'runtime-node', engine: 'onnx-cpu', usable: true },
      { runtime: 'runtime-node', engine: 'onnx-cuda', usable: false, reason: 'its library is missing' },
    ]);
  });

  it('tell of a runtime that is not set up how it is, and keep those of the others', async () => {
    const states = await engineStates({
      'runtime-node': says([{ name: 'onnx-cpu', usable: true }]),
      'runtime-torch': () => Promise.reject(new Error('`node scripts/torch-env.mjs` makes it.')),
    });
    expect(states[1]).toEqual({
      ...{ runtime: 'runtime-torch', engine: 'runtime-torch', usable: false },
      reason: '`node scripts/torch-env.mjs` makes it.',
    });
    const lines = enginesText(states).split('\n');
    expect(lines[1]).toMatch(/runtime-node +onnx-cpu +yes/);
    expect(lines[2]).toMatch(/runtime-torch +runtime-torch +no +`node scripts/);
  });

  it('say of a runtime that cannot answer what went wrong', async () => {
    const broken = { 'runtime-torch': () => Promise.resolve([process.execPath, '-e', 'throw new Error("no torch")']) };
    expect((await engineStates(broken))[0]).toMatchObject({
      usable: false,
      reason: expect.stringContaining('no torch'),
    });
  });
});
