import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import { RUN_PHASES } from '@luthier/contracts';
import type { RunPhase } from '@luthier/contracts';

/** Listed in docs/reference/metrics.md. */
export class RunsMetrics {
  readonly reconcileDuration: Histogram<'action'>;
  readonly reconcileErrors: Counter;
  /** Should stay flat: each is something the watch should have told. */
  readonly corrections: Counter;
  private phases: () => Iterable<RunPhase> = () => [];

  constructor(registry: Registry) {
    const registers = [registry];
    this.reconcileDuration = new Histogram({
      name: 'luthier_trainer_reconcile_duration_seconds',
      help: 'Time of one step of a run, by what was done.',
      labelNames: ['action'],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers,
    });
    this.reconcileErrors = new Counter({
      name: 'luthier_trainer_reconcile_errors_total',
      help: 'Steps of a run that failed; they are repeated.',
      registers,
    });
    this.corrections = new Counter({
      name: 'luthier_trainer_corrections_total',
      help: 'Steps that only the periodic list led to; flat in a healthy installation.',
      registers,
    });
    const countPhases = (): Map<RunPhase, number> => {
      const counts = new Map(RUN_PHASES.map((phase) => [phase, 0]));
      for (const phase of this.phases()) counts.set(phase, (counts.get(phase) ?? 0) + 1);
      return counts;
    };
    new Gauge({
      name: 'luthier_trainer_runs',
      help: 'Runs that are not closed, by phase.',
      labelNames: ['phase'],
      registers,
      collect() {
        for (const [phase, count] of countPhases()) this.set({ phase }, count);
      },
    });
  }

  /** Counted when they are asked for: there may be thousands. */
  countPhases(phases: () => Iterable<RunPhase>): void {
    this.phases = phases;
  }
}
