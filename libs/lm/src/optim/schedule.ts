export interface ScheduleSettings {
  readonly schedule: 'cosine' | 'linear' | 'constant';
  readonly learningRate: number;
  readonly warmupRatio: number;
  readonly totalSteps: number;
}

/**
 * Learning rate of step `step` (from 0), as transformers' schedules with warm-up: rising from 0 over
 * ceil(warmupRatio * totalSteps) steps, then along the curve to 0 at `totalSteps`.
 */
export function learningRateAt(
  step: number,
  { schedule, learningRate, warmupRatio, totalSteps }: ScheduleSettings,
): number {
  const warmup = Math.ceil(warmupRatio * totalSteps);
  if (step < warmup) return (learningRate * step) / Math.max(1, warmup);
  const progress = (step - warmup) / Math.max(1, totalSteps - warmup);
  switch (schedule) {
    case 'constant':
      return learningRate;
    case 'linear':
      return learningRate * Math.max(0, 1 - progress);
    case 'cosine':
      return (learningRate * (1 + Math.cos(Math.PI * progress))) / 2;
  }
}
