import type { RunOutcome, RuntimeEvent } from '@luthier/contracts';

export function fakeStep(
  { step, totalSteps, attempt }: { step: number; totalSteps: number; attempt: number },
  head: { seq: number; rank: number; time: string },
): RuntimeEvent {
  return {
    type: 'step',
    ...head,
    step,
    totalSteps,
    epoch: step / totalSteps,
    // Tells the attempt: a curve without doubles has the later one's value where both made the step.
    loss: 2 - step / 100 + attempt,
    learningRate: 1e-3,
    gradNorm: 1,
    tokens: 400,
    trainedTokens: 160,
    stepMs: 100,
    memory: { hostMib: 900 },
    metrics: {},
  };
}

export function fakeResult(steps: number): NonNullable<RunOutcome['result']> {
  const score = { rows: 5, trainedTokens: 100, loss: 1, perplexity: 2.7, tokenAccuracy: 0.5 };
  return {
    mode: 'train',
    steps,
    firstLoss: 3,
    lastLoss: 1,
    trainedTokens: 1600,
    tokens: 4000,
    tokensPerSecond: 4000,
    peakMemoryMib: 900,
    memoryMode: 'whole-step',
    artifactDir: 'artifact',
    base: score,
    tuned: score,
  };
}

export const FAKE_REHEARSAL: NonNullable<RunOutcome['result']> = {
  mode: 'rehearse',
  ...{ steps: 2, tokensPerStep: 800, stepMs: 400, peakMemoryMib: 1_234, deviceMib: 900, memoryMode: 'whole-step' },
  checkpointMib: 12,
};
