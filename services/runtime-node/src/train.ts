import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { RuntimeSpec, Score, TrainResult } from '@luthier/contracts';
import type { PreparedDataset } from '@luthier/formats';
import { AdamW, LoraAdapter, TrainingEngine } from '@luthier/lm';
import { totalSteps } from '@luthier/planner';
import { readCheckpoint, writeAdapter, writeCheckpoint, writeFolder } from './checkpoint.js';
import type { StoredCheckpoint, TrainerState } from './checkpoint.js';
import { openExecutor } from './engine.js';
import type { EventsFile } from './events-file.js';
import { blaming, faultOf } from './fault.js';
import { planMemory } from './memory-plan.js';
import type { MemoryPlan } from './memory-plan.js';
import { loraSettings, openAdapter, openConfig, openData, openWeights } from './open-inputs.js';
import { StopRequested, takeCheckpointRequest, throwIfStopped } from './run-control.js';
import { scoreRows } from './score-rows.js';
import { Stepper } from './train-step.js';
import type { StepOutcome } from './train-step.js';

const ADAPTER_DIR = 'adapter';
const MIB = 1024 * 1024;

const freshState = (seed: number): TrainerState => ({
  version: 1,
  step: 0,
  seed,
  tokens: 0,
  trainedTokens: 0,
  trainingMs: 0,
  firstLoss: null,
  lastLoss: null,
});

/** One training run from its spec to its result. `step` is the last finished optimiser step. */
export class TrainRun {
  private state: TrainerState;
  private savedStep = -1;

  private constructor(
    private readonly spec: RuntimeSpec,
    private readonly events: EventsFile,
    private readonly engine: TrainingEngine,
    private readonly adapter: LoraAdapter,
    private readonly optimiser: AdamW,
    private readonly plan: MemoryPlan,
    private readonly train: PreparedDataset,
    private readonly heldOut: PreparedDataset | undefined,
    state: TrainerState,
  ) {
    this.state = state;
  }

  static async open(spec: RuntimeSpec, events: EventsFile): Promise<TrainRun> {
    const settings = loraSettings(spec);
    const { trainDir, heldOutDir } = spec.data;
    if (!trainDir) throw new AppError('config.bad', 'A training run needs data.', { param: 'data.trainDir' });
    const config = await openConfig(spec);
    const train = await openData(trainDir, config);
    const heldOut = heldOutDir ? await openData(heldOutDir, config) : undefined;
    const resumeFrom = spec.resumeFrom;
    const stored = resumeFrom ? await blaming('model.unreadable', () => readCheckpoint(resumeFrom)) : undefined;
    const adapter = await blaming('config.bad', async () => {
      if (stored) return LoraAdapter.restore(config, settings, stored.tensors);
      return spec.adapterDir ? openAdapter(spec.adapterDir, config) : LoraAdapter.create(config, settings, spec.seed);
    });
    const plan = planMemory(spec, config, adapter.values.length, heldOut ? [train, heldOut] : [train]);
    events.write({
      type: 'started',
      resumeStep: stored?.state.step ?? 0,
      worldSize: 1,
      device: `cpu, ${spec.limits.cpu} threads`,
    });
    events.write({ type: 'phase', phase: 'loading' });
    const weights = await openWeights(spec, config);
    const { memoryMode } = plan;
    const engine = new TrainingEngine({
      config,
      weights,
      adapter,
      memoryMode,
      executor: await openExecutor(spec.limits.cpu),
    });
    await engine.warmUp();
    const optimiser = optimiserOf(spec, adapter, stored);
    return new TrainRun(
      spec,
      events,
      engine,
      adapter,
      optimiser,
      plan,
      train,
      heldOut,
      stored?.state ?? freshState(spec.seed),
    );
  }

  get step(): number {
    return this.state.step;
  }

  /** Trains to the end. Throws StopRequested after saving the last complete step when asked to stop. */
  async run(): Promise<TrainResult> {
    try {
      await this.scoreBase();
      await this.trainSteps();
      await this.saveAdapter();
      if (this.savedStep !== this.state.step) await this.saveCheckpoint();
      const tuned = await this.scoreHeldOut('scoring-tuned', true);
      return this.result(tuned);
    } catch (thrown) {
      if (thrown instanceof StopRequested && this.savedStep !== this.state.step) await this.saveCheckpoint();
      throw thrown;
    } finally {
      await this.train.close();
      await this.heldOut?.close();
    }
  }

  private async scoreBase(): Promise<void> {
    if (this.state.base || !this.heldOut) return;
    // What it goes on from is what it will be compared with.
    const base = await this.scoreHeldOut('scoring-base', this.spec.adapterDir !== undefined);
    if (base) this.state = { ...this.state, base };
  }

  private async scoreHeldOut(phase: 'scoring-base' | 'scoring-tuned', useAdapter: boolean): Promise<Score | undefined> {
    if (!this.heldOut) return undefined;
    this.events.write({ type: 'phase', phase });
    return this.score(this.heldOut, useAdapter);
  }

  private score(dataset: PreparedDataset, useAdapter: boolean): Promise<Score> {
    const { engine, plan } = this;
    return scoreRows({ engine, dataset, useAdapter, tokenBudget: plan.tokenBudget, between: () => this.between() });
  }

  private between(): void {
    this.events.heartbeat(this.state.step);
    throwIfStopped(this.spec.outputDir);
  }

  private async trainSteps(): Promise<void> {
    const { spec, engine, adapter, optimiser, train, plan, events } = this;
    const total = totalSteps(train.rows, spec.hyperparameters);
    const stepper = new Stepper({
      spec,
      engine,
      adapter,
      optimiser,
      dataset: train,
      tokenBudget: plan.tokenBudget,
      totalSteps: total,
      between: () => this.between(),
    });
    events.write({ type: 'phase', phase: 'training' });
    while (this.state.step < total) {
      const startMs = performance.now();
      const outcome = await stepper.run(this.state.step);
      this.finishStep(outcome, performance.now() - startMs, total, stepper.stepsPerEpoch);
      const { evaluationSteps } = spec.hyperparameters;
      // Saved before it is evaluated, so that a stop during evaluation loses no step.
      const due = this.state.step % spec.checkpointing.everySteps === 0;
      if (takeCheckpointRequest(spec.outputDir) || due) await this.saveCheckpoint();
      if (evaluationSteps !== null && this.state.step % evaluationSteps === 0 && this.state.step < total)
        await this.evaluate();
    }
  }

  private finishStep(outcome: StepOutcome, stepMs: number, total: number, stepsPerEpoch: number): void {
    const { state } = this;
    const step = state.step + 1;
    this.state = {
      ...state,
      step,
      tokens: state.tokens + outcome.tokens,
      trainedTokens: state.trainedTokens + outcome.trainedTokens,
      trainingMs: state.trainingMs + stepMs,
      firstLoss: state.firstLoss ?? outcome.loss,
      lastLoss: outcome.loss,
    };
    this.events.write({
      type: 'step',
      ...outcome,
      step,
      totalSteps: total,
      epoch: step / stepsPerEpoch,
      stepMs,
      memory: { hostMib: process.memoryUsage.rss() / MIB },
      metrics: { tokensPerSecond: (outcome.tokens * 1000) / stepMs },
    });
  }

  private async evaluate(): Promise<void> {
    if (!this.heldOut) return;
    const { loss, tokenAccuracy, perplexity } = await this.score(this.heldOut, true);
    this.events.write({ type: 'evaluation', step: this.state.step, loss, tokenAccuracy, perplexity, metrics: {} });
  }

  private async saveCheckpoint(): Promise<void> {
    try {
      const dir = await writeCheckpoint(this.spec, this.adapter, this.optimiser, this.state);
      this.savedStep = this.state.step;
      this.events.write({ type: 'checkpoint', step: this.state.step, dir });
    } catch (thrown) {
      throw faultOf(thrown, 'internal');
    }
  }

  private async saveAdapter(): Promise<void> {
    const { outputDir } = this.spec;
    this.events.write({ type: 'phase', phase: 'saving' });
    await mkdir(outputDir, { recursive: true });
    await writeFolder(join(outputDir, ADAPTER_DIR), outputDir, (temporary) => writeAdapter(temporary, this.adapter));
  }

  private result(tuned: Score | undefined): TrainResult {
    const { state, plan } = this;
    return {
      mode: 'train',
      steps: state.step,
      firstLoss: state.firstLoss ?? 0,
      lastLoss: state.lastLoss ?? 0,
      trainedTokens: state.trainedTokens,
      tokens: state.tokens,
      tokensPerSecond: (state.tokens * 1000) / Math.max(1, state.trainingMs),
      peakMemoryMib: process.resourceUsage().maxRSS / 1024,
      memoryMode: plan.memoryMode,
      artifactDir: ADAPTER_DIR,
      ...(state.base && { base: state.base }),
      ...(tuned && { tuned }),
    };
  }
}

function optimiserOf(spec: RuntimeSpec, adapter: LoraAdapter, stored: StoredCheckpoint | undefined): AdamW {
  const { adamBeta1: beta1, adamBeta2: beta2, adamEpsilon: epsilon, weightDecay } = spec.hyperparameters;
  const settings = { beta1, beta2, epsilon, weightDecay };
  if (!stored) return AdamW.fresh(adapter.values.length, settings);
  return new AdamW(settings, stored.firstMoments, stored.secondMoments, stored.optimiserStep);
}
