import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { RuntimeSpec, Score, TrainResult } from '@luthier/contracts';
import type { PreparedDataset } from '@luthier/formats';
import { TrainingEngine } from '@luthier/lm';
import { freshState, readState, restoreOptimiser, writeCheckpoint } from './training/checkpoint.js';
import type { RunParts, TrainerState } from './training/checkpoint.js';
import { openEarlyStopping } from './training/early-stopping.js';
import { openExecutor } from './engine/engine.js';
import type { EventsFile } from './control/events-file.js';
import { blaming, faultOf, namingCheckpoint } from './control/fault.js';
import { writeFolder } from './control/folders.js';
import { TrainingBatches } from './inputs/global-batches.js';
import { planMemory } from './engine/memory-plan.js';
import type { MemoryPlan } from './engine/memory-plan.js';
import { checkSpec, openConfig, openData } from './inputs/open-inputs.js';
import { openObjective } from './objectives/open-objective.js';
import { openOptimiser } from './training/open-optimiser.js';
import { peakMemoryMib } from './control/peak-memory.js';
import { StopRequested, takeCheckpointRequest, throwIfStopped } from './control/run-control.js';
import { Stepper } from './training/train-step.js';
import type { StepOutcome } from './training/train-step.js';
import { outlineTuning } from './training/tuned.js';

const MIB = 1024 * 1024;

/** All that a run is made of once its inputs are open. */
interface OpenRun extends RunParts {
  readonly events: EventsFile;
  readonly stepper: Stepper;
  readonly batches: TrainingBatches;
  readonly plan: MemoryPlan;
  readonly heldOut: PreparedDataset | undefined;
}

/** One training run from its spec to its result. `step` is the last finished optimiser step. */
export class TrainRun {
  private saved: { readonly step: number; readonly dir: string } | undefined;

  private constructor(
    private readonly parts: OpenRun,
    private state: TrainerState,
  ) {}

  static async open(spec: RuntimeSpec, events: EventsFile): Promise<TrainRun> {
    const { trainDir, heldOutDir } = spec.data;
    if (!trainDir) throw new AppError('config.bad', 'A training run needs data.', { param: 'data.trainDir' });
    checkSpec(spec);
    const config = await openConfig(spec);
    const train = await openData(trainDir, spec, config);
    const heldOut = heldOutDir ? await openData(heldOutDir, spec, config) : undefined;
    const { resumeFrom, hyperparameters } = spec;
    const state = resumeFrom ? await blaming('model.unreadable', () => readState(resumeFrom)) : freshState(spec.seed);
    const outline = await outlineTuning(spec, config);
    const plan = await planMemory(spec, outline, heldOut ? [train, heldOut] : [train]);
    events.write({
      type: 'started',
      resumeStep: state.step,
      worldSize: 1,
      device: `cpu, ${spec.limits.cpu} threads`,
    });
    events.write({ type: 'phase', phase: 'loading' });
    const tuned = await outline.open();
    const { parameters, weights } = tuned;
    const noise = hyperparameters.neftuneNoiseAlpha !== undefined;
    const engine = new TrainingEngine({
      config: outline.config,
      weights,
      parameters,
      memoryMode: plan.memoryMode,
      executor: await openExecutor(spec.limits.cpu),
      step: { noise, labelSmoothing: hyperparameters.labelSmoothingFactor ?? 0 },
    });
    await engine.warmUp();
    const optimiser = openOptimiser(spec, parameters.tensors);
    const stopping = openEarlyStopping(spec, parameters.values, state.earlyStopping);
    const batches = new TrainingBatches(spec, train);
    const { tokenBudget } = plan;
    const between = (): void => run.between();
    const objective = openObjective({ spec, engine, tokenBudget, between }, batches, heldOut);
    if (resumeFrom) {
      await blaming('model.unreadable', async () => {
        await restoreOptimiser(resumeFrom, optimiser);
        await objective.load(resumeFrom);
        await stopping?.load(resumeFrom);
      });
    }
    const common = { spec, optimiser, objective, batches };
    const { hiddenSize } = config;
    const stepper = new Stepper({ ...common, engine, hiddenSize, parameters, tokenBudget, between });
    const run = new TrainRun({ ...common, events, tuned, stepper, plan, heldOut, stopping }, state);
    return run;
  }

  get step(): number {
    return this.state.step;
  }

  /** Trains to the end. Throws StopRequested after saving the last complete step when asked to stop. */
  async run(): Promise<TrainResult> {
    const { resumeFrom } = this.parts.spec;
    const resumed = resumeFrom === undefined ? undefined : { step: this.state.step, dir: resumeFrom };
    try {
      await this.lookAtBase();
      await this.trainSteps();
      this.parts.events.write({ type: 'phase', phase: 'saving' });
      // Before the best values take the place of the last ones, with which a resumed run would go on.
      if (this.saved?.step !== this.state.step) await this.saveCheckpoint();
      this.takeBest();
      await this.saveArtifact();
      const tuned = await this.scoreHeldOut('scoring-tuned', true);
      return this.result(tuned);
    } catch (thrown) {
      if (thrown instanceof StopRequested && this.saved?.step !== this.state.step) await this.saveCheckpoint();
      throw namingCheckpoint(thrown, this.saved ?? resumed);
    } finally {
      await this.parts.batches.dataset.close();
      await this.parts.heldOut?.close();
    }
  }

  /** Before step 0; what is found travels with the checkpoints. */
  private async lookAtBase(): Promise<void> {
    const { spec, objective, heldOut, events } = this.parts;
    if (this.state.step > 0 || this.state.base) return;
    if (heldOut) events.write({ type: 'phase', phase: 'scoring-base' });
    await objective.prepare(true);
    if (!heldOut) return;
    // What it goes on from is what it will be compared with.
    this.state = { ...this.state, base: await objective.score(heldOut, spec.adapterDir !== undefined) };
  }

  private async scoreHeldOut(phase: 'scoring-tuned', useAdapter: boolean): Promise<Score | undefined> {
    const { heldOut, events, objective } = this.parts;
    if (!heldOut) return undefined;
    events.write({ type: 'phase', phase });
    return objective.score(heldOut, useAdapter);
  }

  private between(): void {
    this.parts.events.heartbeat(this.state.step);
    throwIfStopped(this.parts.spec.outputDir);
  }

  private async trainSteps(): Promise<void> {
    const { spec, stepper, batches, events, stopping } = this.parts;
    const total = batches.totalSteps;
    events.write({ type: 'phase', phase: 'training' });
    // A checkpoint does not know yet what the evaluation of its own step will say.
    if (stopping && stopping.state.evaluatedStep < this.state.step) await this.evaluateWhereDue();
    while (this.state.step < total && !stopping?.isOver) {
      const startMs = performance.now();
      const outcome = await stepper.run(this.state.step);
      this.finishStep(outcome, performance.now() - startMs);
      // Saved before it is evaluated, so that a stop during evaluation loses no step.
      const due = this.state.step % spec.checkpointing.everySteps === 0;
      if (takeCheckpointRequest(spec.outputDir) || due) await this.saveCheckpoint();
      await this.evaluateWhereDue();
    }
  }

  /** The last model is scored in any case; it is evaluated, too, where it may not be the one that is kept. */
  private async evaluateWhereDue(): Promise<void> {
    const { spec, batches, stopping } = this.parts;
    const { step } = this.state;
    const { evaluationSteps } = spec.hyperparameters;
    if (evaluationSteps === null || step === 0) return;
    const isDue = step < batches.totalSteps ? step % evaluationSteps === 0 : stopping !== undefined;
    if (isDue) await this.evaluate();
  }

  private finishStep({ metrics, ...outcome }: StepOutcome, stepMs: number): void {
    const { state } = this;
    const { events, batches } = this.parts;
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
    events.write({
      type: 'step',
      ...outcome,
      step,
      totalSteps: batches.totalSteps,
      epoch: step / batches.stepsPerEpoch,
      stepMs,
      memory: { hostMib: process.memoryUsage.rss() / MIB },
      metrics: { tokensPerSecond: (outcome.tokens * 1000) / stepMs, ...metrics },
    });
  }

  private async evaluate(): Promise<void> {
    const { heldOut, events, objective, stopping } = this.parts;
    if (!heldOut) return;
    const { loss, tokenAccuracy, perplexity, metrics = {} } = await objective.score(heldOut, true);
    const named = Object.entries(metrics).map(([name, value]) => [
      `evaluation${name.charAt(0).toUpperCase()}${name.slice(1)}`,
      value,
    ]);
    const own = Object.fromEntries(named) as Record<string, number>;
    events.write({ type: 'evaluation', step: this.state.step, loss, tokenAccuracy, perplexity, metrics: own });
    stopping?.observe(this.state.step, loss);
  }

  private async saveCheckpoint(): Promise<void> {
    try {
      const dir = await writeCheckpoint(this.parts, this.state);
      this.saved = { step: this.state.step, dir };
      this.parts.events.write({ type: 'checkpoint', step: this.state.step, dir });
    } catch (thrown) {
      throw faultOf(thrown, 'internal');
    }
  }

  private takeBest(): void {
    const { stopping, events, batches } = this.parts;
    const outcome = stopping?.outcome(this.state.step, batches.totalSteps);
    if (outcome) events.write(outcome);
    stopping?.takeBest();
  }

  private async saveArtifact(): Promise<void> {
    const { spec, tuned } = this.parts;
    const { outputDir } = spec;
    await mkdir(outputDir, { recursive: true });
    await writeFolder(join(outputDir, tuned.artifactDir), outputDir, (temporary) => tuned.write(temporary));
  }

  private result(tuned: Score | undefined): TrainResult {
    const { state } = this;
    const { plan, tuned: artifact } = this.parts;
    return {
      mode: 'train',
      steps: state.step,
      firstLoss: state.firstLoss ?? 0,
      lastLoss: state.lastLoss ?? 0,
      trainedTokens: state.trainedTokens,
      tokens: state.tokens,
      tokensPerSecond: (state.tokens * 1000) / Math.max(1, state.trainingMs),
      peakMemoryMib: peakMemoryMib(),
      memoryMode: plan.memoryMode,
      artifactDir: artifact.artifactDir,
      ...(state.base && { base: state.base }),
      ...(tuned && { tuned }),
    };
  }
}
