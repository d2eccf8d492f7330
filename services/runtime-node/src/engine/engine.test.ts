import { describe, expect, it } from '@jest/globals';
import { readEngineChoice } from './engine.config.js';
import { engineStates, openExecutor } from './engine.js';

describe('the engine of a run', () => {
  it('is ONNX Runtime on the processor unless the environment says otherwise', () => {
    expect(readEngineChoice({})).toEqual({ engine: 'onnx', provider: 'cpu' });
    expect(readEngineChoice({ LUTHIER_NODE_ENGINE: '', LUTHIER_NODE_PROVIDER: '' }).engine).toBe('onnx');
    expect(readEngineChoice({ LUTHIER_NODE_ENGINE: 'tensorflow' }).engine).toBe('tensorflow');
    expect(readEngineChoice({ LUTHIER_NODE_PROVIDER: 'cuda' }).provider).toBe('cuda');
  });

  it('refuses a name that is none, with the variable and the choices', () => {
    expect(() => readEngineChoice({ LUTHIER_NODE_ENGINE: 'mlx' })).toThrow(
      'LUTHIER_NODE_ENGINE is "mlx"; it may be onnx or tensorflow.',
    );
  });

  it('is the one that was chosen, or refused where its library is missing', async () => {
    expect((await openExecutor(1, { engine: 'onnx', provider: 'cpu' })).name).toBe('onnx');
    expect((await openExecutor(1, { engine: 'tensorflow', provider: 'cpu' })).name).toBe('tensorflow');
    const states = await engineStates();
    const cuda = states.find(({ name }) => name === 'onnx-cuda');
    const chosen = openExecutor(1, { engine: 'onnx', provider: 'cuda' });
    if (cuda?.usable) expect((await chosen).name).toBe('onnx');
    else await expect(chosen).rejects.toMatchObject({ code: 'config.bad', param: 'LUTHIER_NODE_PROVIDER' });
  });

  it('is listed with all others, each usable or with the reason', async () => {
    const states = await engineStates();
    expect(states.map(({ name }) => name)).toEqual([
      'onnx-cpu',
      'onnx-cuda',
      'tensorflow-tfjs-node-gpu',
      'tensorflow-tfjs-node',
      'tensorflow-tfjs-wasm',
    ]);
    const usable = states.filter((state) => state.usable).map(({ name }) => name);
    expect(usable).toEqual(expect.arrayContaining(['onnx-cpu', 'tensorflow-tfjs-wasm']));
    for (const state of states) expect(state.usable).toBe(state.reason === undefined);
  });
});
