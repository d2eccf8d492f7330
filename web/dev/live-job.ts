import type { Schemas } from '@luthier/api-client';
import { BASE_ID, id } from './fixtures/ids.js';
import { baseJob } from './fixtures/jobs.js';
import { plan } from './fixtures/plans.js';

interface Entry {
  id: number;
  type: 'job' | 'event' | 'metrics' | 'checkpoint';
  data: unknown;
}

const isTerminal = (status: Schemas['Job']['status']): boolean =>
  status === 'succeeded' || status === 'failed' || status === 'cancelled';

/** A job that trains before one's eyes: every tick is a step, and everything is kept for replays. */
export class LiveJob {
  record: Schemas['Job'];
  readonly entries: Entry[] = [];
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setInterval>;
  private step = 0;

  constructor(
    tail: string,
    private readonly totalSteps: number,
    private readonly stepMs: number,
    change: Partial<Schemas['Job']> = {},
  ) {
    this.record = {
      ...baseJob,
      id: id('ftjob-', tail),
      status: 'running',
      phase: 'training',
      message: 'Training.',
      created_at: new Date().toISOString(),
      finished_at: null,
      base_model_id: BASE_ID,
      fine_tuned_model: null,
      tuned_model_id: null,
      result: null,
      evaluation_id: null,
      progress: null,
      plan: plan(true),
      ...change,
    };
    this.event('Training started on cpu');
    this.timer = setInterval(() => this.tick(), stepMs);
  }

  get ended(): boolean {
    return isTerminal(this.record.status);
  }

  onEntry(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  cancel(): void {
    this.stop();
    this.record = { ...this.record, status: 'cancelled', message: 'Cancelled; a checkpoint is kept.' };
    this.event('The job has been cancelled');
    this.add('job', this.record);
  }

  pause(): void {
    this.stop();
    this.record = { ...this.record, status: 'paused', phase: 'queued', message: 'Paused' };
    this.event('The job is paused');
    this.add('job', this.record);
  }

  resume(): void {
    this.record = { ...this.record, status: 'running', phase: 'training', message: 'Training' };
    this.timer = setInterval(() => this.tick(), this.stepMs);
    this.event('The job is resumed');
    this.add('job', this.record);
  }

  loseNode(): void {
    this.stop();
    const params = { node: 'gpu-1', since: new Date().toISOString() };
    const message = 'Node "gpu-1" stopped answering; the run goes on from its last checkpoint.';
    this.place({ reason: 'node-lost', params, message, excerpt: null });
  }

  /** What carries it is in trouble, or no longer (null). */
  place(placement: NonNullable<Schemas['Job']['placement']> | null): void {
    this.record = { ...this.record, placement };
    this.add('job', this.record);
  }

  restart(): void {
    this.stop();
    this.event('Restarting elsewhere: attempt 1 on gpu-1 is being ended');
    this.record = { ...this.record, placement: null, message: 'Training' };
    this.timer = setInterval(() => this.tick(), this.stepMs);
    this.event('Attempt 2 goes on from step 20.');
    this.add('job', this.record);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** An event that came from elsewhere. */
  say(said: Pick<Schemas['JobEvent'], 'level' | 'message' | 'data'>): void {
    const event: Schemas['JobEvent'] = {
      id: id('ftevent-', `n${this.entries.length}x`),
      created_at: new Date().toISOString(),
      type: 'message',
      ...said,
    };
    this.add('event', event);
  }

  private tick(): void {
    const step = ++this.step;
    const loss = 0.2 + 3.2 * Math.exp(-step / 18) + 0.12 * Math.sin(step * 1.7) * Math.exp(-step / 40);
    const points = [{ step, name: 'loss', value: loss }];
    if (step % 20 === 0) points.push({ step, name: 'evaluationLoss', value: loss + 0.15 });
    this.add('metrics', { points });
    this.record = {
      ...this.record,
      progress: {
        step,
        total_steps: this.totalSteps,
        epoch: (3 * step) / this.totalSteps,
        loss,
        tokens_per_second: 266,
        seconds_left: (this.totalSteps - step) * 2,
        memory_mib: 1386,
      },
    };
    if (step % 5 === 0) this.event(`Step ${step}/${this.totalSteps}: training loss=${loss.toFixed(2)}`);
    if (step % 20 === 0) this.checkpoint(step);
    this.add('job', this.record);
    if (step < this.totalSteps) return;
    this.stop();
    this.record = { ...this.record, status: 'cancelled', phase: 'done', message: 'The demonstration is over.' };
    this.add('job', this.record);
  }

  private checkpoint(step: number): void {
    const checkpoint: Schemas['JobCheckpoint'] = {
      id: id('ftckpt_', `s${step}x`),
      created_at: new Date().toISOString(),
      job_id: this.record.id,
      step,
      uri: `artifact://runs/run/${step}`,
      metrics: {},
    };
    this.add('checkpoint', checkpoint);
  }

  private event(message: string): void {
    this.say({ level: 'info', message, data: null });
  }

  private add(type: Entry['type'], data: unknown): void {
    this.entries.push({ id: this.entries.length + 1, type, data });
    for (const listener of this.listeners) listener();
  }
}
