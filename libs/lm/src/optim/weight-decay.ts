import type { TrainedTensor } from '../model/trained-parameters.js';

/** As `Trainer.get_decay_parameter_names` of transformers 5.23. */
const BIAS_OR_NORM = /bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)/i;

/**
 * Whether weight decay draws a tensor towards zero: matrices, embeddings among them, and neither biases, norms nor any
 * other vector. transformers and PEFT would also decay DoRA's magnitudes, which are vectors: they begin as the lengths of
 * the model's own rows, so decay would shrink the model and not what was learnt (docs/adr/0052).
 */
export const isDecayed = ({ name, shape }: Pick<TrainedTensor, 'name' | 'shape'>): boolean =>
  shape.length > 1 && !BIAS_OR_NORM.test(name);
