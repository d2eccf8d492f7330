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
  expect(refusals({ files: adapter, gives: 'answers', shape: null })).toEqual({
    ...{ gguf: null, 'gguf-q8_0': null, 'gguf-f16': null, safetensors: null },
    adapter: null,
  });
  expect(refusals({ files: whole, gives: 'answers', shape: null })).toEqual({
    ...{ gguf: null, 'gguf-q8_0': null, 'gguf-f16': null, safetensors: null },
    adapter: 'noAdapter',
  });
  expect(refusals({ files: adapter, gives: 'points', shape: null })).toEqual({
    ...{ gguf: 'points', 'gguf-q8_0': 'points', 'gguf-f16': 'points', safetensors: 'points' },
    adapter: null,
  });
  expect(exportOffers({ files: null, gives: 'answers', shape: null })).toEqual([]);
});

it('says how large each GGUF file will be: eight bits take a little more than half of sixteen', () => {
  const shape = { parameters: 320 } as NonNullable<Parameters<typeof exportOffers>[0]['shape']>;
  const offers = exportOffers({ files: { form: 'adapter', adapter: ref }, gives: 'answers', shape });
  expect(Object.fromEntries(offers.map(({ format, sizeBytes }) => [format, sizeBytes]))).toEqual({
    ...{ gguf: 640, 'gguf-q8_0': 340, 'gguf-f16': 640 },
    ...{ safetensors: null, adapter: null },
  });
});
