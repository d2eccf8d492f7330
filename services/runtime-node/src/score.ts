import { AppError } from '@luthier/contracts';
import type { RunResult, RuntimeSpec, Score } from '@luthier/contracts';
import { LoraAdapter, TrainingEngine } from '@luthier/lm';
import { openExecutor } from './engine.js';
import type { EventsFile } from './events-file.js';
import { planMemory } from './memory-plan.js';
import { openAdapter, openConfig, openData, openWeights } from './open-inputs.js';
import { throwIfStopped } from './run-control.js';
import { scoreRows } from './score-rows.js';

/** Scores base and, when there is an adapter, tuned model on the held-out rows. */
export async function score(spec: RuntimeSpec, events: EventsFile): Promise<RunResult> {
  const { heldOutDir } = spec.data;
  if (!heldOutDir) throw new AppError('config.bad', 'A scoring run needs held-out data.', { param: 'data.heldOutDir' });
  const config = await openConfig(spec);
  const dataset = await openData(heldOutDir, config);
  const adapter = spec.adapterDir
    ? await openAdapter(spec.adapterDir, config)
    : LoraAdapter.create(
        config,
        { r: 1, loraAlpha: 1, loraDropout: 0, targetModules: ['q_proj'], useRslora: false },
        0,
      );
  const { tokenBudget } = planMemory({ ...spec, memoryMode: 'layer-recompute' }, config, adapter.values.length, [
    dataset,
  ]);
  events.write({ type: 'started', resumeStep: 0, worldSize: 1, device: `cpu, ${spec.limits.cpu} threads` });
  events.write({ type: 'phase', phase: 'loading' });
  const weights = await openWeights(spec, config);
  const engine = new TrainingEngine({
    config,
    weights,
    adapter,
    memoryMode: 'layer-recompute',
    executor: await openExecutor(spec.limits.cpu),
  });
  const between = (): void => {
    events.heartbeat(0);
    throwIfStopped(spec.outputDir);
  };
  const scored = async (phase: 'scoring-base' | 'scoring-tuned', useAdapter: boolean): Promise<Score> => {
    events.write({ type: 'phase', phase });
    return scoreRows({ engine, dataset, useAdapter, tokenBudget, between });
  };
  const base = await scored('scoring-base', false);
  return { mode: 'score', base, ...(spec.adapterDir && { tuned: await scored('scoring-tuned', true) }) };
}
