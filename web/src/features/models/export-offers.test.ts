import { expect, it } from '@jest/globals';
import { exportOffers } from './export-offers';

const ref = { uri: 'artifact://models/one', sha256: 'a'.repeat(64) };
const refusals = (...of: Parameters<typeof exportOffers>): unknown =>
  Object.fromEntries(exportOffers(...of).map(({ format, refused }) => [format, refused]));

it('offers each kind of model what the platform makes of it, and says why not the rest', () => {
  const [adapter, whole] = [
    { form: 'adapter' as const, adapter: ref },
    { form: 'whole' as const, weights: ref },
  ];
  expect(refusals({ files: adapter, gives: 'answers' })).toEqual({ gguf: null, safetensors: null, adapter: null });
  expect(refusals({ files: whole, gives: 'answers' })).toEqual({
    ...{ gguf: null, safetensors: null },
    adapter: 'noAdapter',
  });
  expect(refusals({ files: adapter, gives: 'points' })).toEqual({
    ...{ gguf: 'points', safetensors: 'points' },
    adapter: null,
  });
  expect(exportOffers({ files: null, gives: 'answers' })).toEqual([]);
});
