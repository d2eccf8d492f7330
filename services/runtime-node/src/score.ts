import { AppError } from '@luthier/contracts';
import type { RunResult, RuntimeSpec, Score } from '@luthier/contracts';
import { TrainingEngine } from '@luthier/lm';
import { openExecutor } from './engine/engine.js';
import type { EventsFile } from './control/events-file.js';
import { planMemory } from './engine/memory-plan.js';
import { checkSpec, openConfig, openData } from './inputs/open-inputs.js';
import { openObjective } from './objectives/open-objective.js';
import { throwIfStopped } from './control/run-control.js';
import { outlineScoring } from './training/tuned.js';

/** Scores base and, when there is an adapter, tuned model on the held-out rows. */
export async function score(spec: RuntimeSpec, events: EventsFile): Promise<RunResult> {
  const { heldOutDir } = spec.data;
  if (!heldOutDir) throw new AppError('config.bad', 'A scoring run needs held-out data.', { param: 'data.heldOutDir' });
  checkSpec(spec);
  const config = await openConfig(spec);
  const dataset = await openData(heldOutDir, spec, config);
  const outline = await outlineScoring(spec, config);
  const { tokenBudget } = await planMemory({ ...spec, memoryMode: 'layer-recompute' }, outline, [dataset]);
  events.write({ type: 'started', resumeStep: 0, worldSize: 1, device: `cpu, ${spec.limits.cpu} threads` });
  events.write({ type: 'phase', phase: 'loading' });
  const { weights, parameters } = await outline.open();
  const engine = new TrainingEngine({
    config: outline.config,
    weights,
    parameters,
    memoryMode: 'layer-recompute',
    executor: await openExecutor(spec.limits.cpu),
  });
  const between = (): void => {
    events.heartbeat(0);
    throwIfStopped(spec.outputDir);
  };
  const objective = openObjective({ spec, engine, tokenBudget, between }, undefined, dataset);
  const scored = async (phase: 'scoring-base' | 'scoring-tuned', useAdapter: boolean): Promise<Score> => {
    events.write({ type: 'phase', phase });
    if (!useAdapter) await objective.prepare(false);
    return objective.score(dataset, useAdapter);
  };
  const base = await scored('scoring-base', false);
  return { mode: 'score', base, ...(spec.adapterDir && { tuned: await scored('scoring-tuned', true) }) };
}
