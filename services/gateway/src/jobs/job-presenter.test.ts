import { describe, expect, it } from '@jest/globals';
import type { JobRecord } from '@luthier/contracts';
import { checkpointObject, jobEventObject, jobObject } from '../http/openai-schemas.js';
import { jobRecordOf } from '../testing/builders.js';
import { presentCheckpoint, presentJob, presentJobEvent } from './job-presenter.js';

const createdAt = '2026-01-02T03:04:05.900Z';

describe('a job as OpenAI shows it', () => {
  it('has every required field, times in whole seconds', () => {
    const job = jobRecordOf({ createdAt, finishedAt: createdAt, fineTunedModel: 'ft:m:luthier::ab', trainedTokens: 9 });
    const shown = presentJob(job);
    expect(jobObject.parse(shown)).toEqual(shown);
    expect(shown).toMatchObject({
      created_at: 1767323045,
      finished_at: 1767323045,
      organization_id: 'luthier',
      hyperparameters: { n_epochs: 3, batch_size: 8, learning_rate_multiplier: 'auto', learning_rate: 0.002 },
      fine_tuned_model: 'ft:m:luthier::ab',
      trained_tokens: 9,
      result_files: [],
      error: null,
    });
  });

  it('tells the settings of its method under the names that they were asked by', () => {
    const shown = (method: JobRecord['method']) => jobObject.parse(presentJob(jobRecordOf({ method }))).method;
    expect(shown({ type: 'dpo', loss: 'ipo', beta: 0.2, labelSmoothing: 0 })).toMatchObject({
      type: 'dpo',
      dpo: { hyperparameters: { beta: 0.2, loss_type: 'ipo', label_smoothing: 0, n_epochs: 3 } },
    });
    expect(shown({ type: 'simpo', beta: 2, gamma: 1 }).simpo?.hyperparameters).toMatchObject({ simpo_gamma: 1 });
    expect(shown({ type: 'kto', beta: 1, desirableWeight: 1, undesirableWeight: 3 })).toMatchObject({
      kto: { hyperparameters: { beta: 1, desirable_weight: 1, undesirable_weight: 3 } },
    });
    const { reward } = shown({ type: 'reward', centerRewardsCoefficient: 0.02 });
    expect(reward?.hyperparameters.center_rewards_coefficient).toBe(0.02);
    expect(shown({ type: 'orpo', beta: 0.1 }).orpo?.hyperparameters.beta).toBe(0.1);
    const check = {
      type: 'string_check',
      name: 'a',
      input: '{{sample.output_text}}',
      reference: 'x',
      operation: 'eq',
    } as const;
    const similar = { ...check, type: 'text_similarity', name: 'b', evaluationMetric: 'bleu' } as const;
    const { operation: _, ...rest } = similar;
    const grader = { type: 'multi', name: 'all', graders: [check, rest], calculateOutput: 'a + b' } as const;
    const sampling = { groupSize: 8, beta: 0, epsilon: 0.2, temperature: 1, maxCompletionTokens: 64 };
    expect(
      shown({ type: 'grpo', ...sampling, lossType: 'grpo', grader: { ...grader, graders: [check, rest] } }),
    ).toMatchObject({
      type: 'reinforcement',
      reinforcement: {
        grader: { graders: { a: { operation: 'eq' }, b: { evaluation_metric: 'bleu' } }, calculate_output: 'a + b' },
        hyperparameters: { num_generations: 8, max_completion_length: 64, n_epochs: 3 },
      },
    });
    expect(Object.keys(shown({ type: 'supervised' }))).toEqual(['type', 'supervised']);
  });

  it('estimates its end only while it runs', () => {
    const progress = { step: 1, totalSteps: 2, epoch: 0, loss: 1, tokensPerSecond: 1, secondsLeft: 30, memoryMib: 1 };
    expect(presentJob(jobRecordOf({ status: 'running', progress }), 1_000_000).estimated_finish).toBe(1030);
    expect(presentJob(jobRecordOf({ status: 'paused', progress }), 1_000_000).estimated_finish).toBeNull();
  });

  it('tells why it failed and what to do', () => {
    const error = { code: 'data.bad' as const, message: 'Row 3 is empty.', hint: 'Fill it.', change: {} };
    expect(presentJob(jobRecordOf({ status: 'failed', error })).error).toEqual({
      code: 'data.bad',
      message: 'Row 3 is empty. Fill it.',
      param: null,
    });
  });

  it('names metrics as OpenAI does, in events and checkpoints', () => {
    const event = presentJobEvent({
      id: 'ftevent-abcdefghij0123456789',
      createdAt,
      level: 'info',
      type: 'metrics',
      message: 'Step 1/2',
      data: { step: 1, totalSteps: 2, loss: 2, evaluationTokenAccuracy: 0.5 },
    });
    expect(jobEventObject.parse(event).data).toEqual({
      step: 1,
      total_steps: 2,
      train_loss: 2,
      full_valid_mean_token_accuracy: 0.5,
    });
    const job = jobRecordOf({ fineTunedModel: 'ft:m:luthier::ab' });
    const checkpoint = {
      id: 'ftckpt_abcdefghij0123456789',
      createdAt,
      jobId: job.id,
      step: 5,
      uri: 'x',
      metrics: { loss: 1 },
    };
    const shown = presentCheckpoint(checkpoint, job);
    expect(checkpointObject.parse(shown)).toMatchObject({
      fine_tuned_model_checkpoint: 'ft:m:luthier::ab:ckpt-step-5',
      metrics: { step: 5, train_loss: 1 },
    });
  });
});
