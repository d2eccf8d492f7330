import { AppError, PLAN_COMPONENT_NAMES } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import type { PreparedDataset } from '@luthier/formats';
import type { MemoryMode } from '@luthier/lm';
import { estimateNodeMemory, nodeTuning } from '@luthier/planner';
import type { NodeMemoryEstimate } from '@luthier/planner';
import { longestPass } from '../inputs/global-batches.js';
import type { TuningOutline } from '../training/tuned.js';
import { readEngineChoice } from './engine.config.js';

/** Above this, bigger products are not faster, and activations only cost memory. */
const TOKEN_BUDGET = 256;

export interface MemoryPlan {
  readonly memoryMode: MemoryMode;
  /** Tokens a micro-batch holds at most; a longer row has one of its own. */
  readonly tokenBudget: number;
  readonly estimate: NodeMemoryEstimate;
}

/**
 * The fastest way of spending memory that stays within `limits.memoryMib`; throws `device.out-of-memory` with the
 * numbers when none does, or when the mode that the request forces does not.
 */
export async function planMemory(
  spec: RuntimeSpec,
  { config, trainedParameters, wholeMatrices }: TuningOutline,
  datasets: readonly PreparedDataset[],
): Promise<MemoryPlan> {
  const tokenBudget = Math.max(TOKEN_BUDGET, ...(await Promise.all(datasets.map(longestPass))));
  const trainedShare = Math.max(
    ...datasets.map(({ manifest }) => manifest.trainedTokens / Math.max(1, manifest.tokens)),
  );
  const question = {
    ...config,
    heads: config.attentionHeads,
    vocabularySize: config.vocabSize,
    tiedEmbeddings: config.tieWordEmbeddings,
    ...{ trainedParameters, wholeMatrices },
    ...nodeTuning(spec),
    engine: readEngineChoice().engine,
    microBatchTokens: tokenBudget,
    microBatchTrained: Math.ceil(tokenBudget * Math.min(1, trainedShare * 1.5)),
  };
  const all: readonly MemoryMode[] =
    spec.tuning.type === 'qlora' ? ['layer-recompute'] : ['whole-step', 'layer-recompute'];
  const modes = spec.memoryMode ? [spec.memoryMode] : all;
  const plans = modes.map((memoryMode) => ({
    memoryMode,
    tokenBudget,
    estimate: estimateNodeMemory({ ...question, memoryMode }),
  }));
  const fitting = plans.find(({ estimate }) => estimate.totalMib <= spec.limits.memoryMib);
  if (fitting) return fitting;
  const least = plans.at(-1);
  const parts = (least?.estimate.components ?? []).map(
    ({ name, mib }) => `${PLAN_COMPONENT_NAMES[name]} ${Math.ceil(mib)}`,
  );
  throw new AppError(
    'device.out-of-memory',
    `The run needs about ${least?.estimate.totalMib} MiB (${parts.join(', ')}) and may take ${spec.limits.memoryMib} MiB.`,
  );
}
