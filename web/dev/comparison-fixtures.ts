import type { paths, Schemas } from '@luthier/api-client';
import { PAIRS_FILE, baseJob, id } from './fixtures.js';

type Inventory = paths['/api/v1/inventory']['get']['responses'][200]['content']['application/json'];

export const PAIRS_JOB = id('ftjob-', 'pairs');

const compared = (
  loss: number,
  perplexity: number,
  rewardAccuracy: number,
  rewardMargin: number,
): Schemas['Score'] => ({
  ...{ rows: 40, trained_tokens: 612, loss, perplexity, token_accuracy: 0.58 },
  metrics: { rewardAccuracy, rewardMargin },
});
/** Compared by pairs, without an evaluation. */
export const pairsJob: Schemas['Job'] = {
  ...baseJob,
  id: PAIRS_JOB,
  created_at: '2026-11-22T15:09:00Z',
  training_file: PAIRS_FILE,
  validation_file: PAIRS_FILE,
  suffix: 'polite',
  method: { type: 'dpo', loss: 'sigmoid', beta: 0.1, label_smoothing: 0 },
  result: {
    ...{ steps: 120, first_loss: 0.693, last_loss: 0.31, tokens_per_second: 160, peak_memory_mib: 1580 },
    base: compared(0.693, 8.1, 0, 0),
    tuned: compared(0.44, 7.6, 0.85, 0.92),
  },
  evaluation_id: null,
};

export const inventory: Inventory = {
  observed_at: '2026-11-22T14:00:00Z',
  counted_runs: [],
  profiles: [
    {
      ...{ name: 'local-cpu', runtime: 'runtime-torch', device: 'cpu', devices: 0, cpus: 2, slots: 1 },
      ...{ memory_mib: 5940, free_memory_mib: 5940 },
      capabilities: {
        ...{ runtime: 'runtime-torch', version: '0.1.0', modes: ['train'], architectures: ['LlamaForCausalLM'] },
        methods: ['supervised', 'pretrain', 'dpo', 'orpo', 'kto'],
        ...{ tunings: ['lora'], precisions: ['float32'], engines: [] },
      },
    },
  ],
};
