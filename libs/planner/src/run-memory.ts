import { estimateMemory, trainableParameters, wholeMatrices } from './memory.js';
import type { MemoryEstimate } from './memory.js';
import { estimateNodeMemory, nodeTuning } from './node-memory.js';
import { passTokensOf, rowTokensOf } from './plan-input.js';
import type { PlanInput } from './plan-input.js';
import { choosePrecision } from './precision.js';
import { planTorchMemory } from './torch-memory.js';

/** The TypeScript runtime fills micro-batches up to this many tokens; a longer row has one of its own. */
const NODE_TOKEN_BUDGET = 256;
/** Rows differ in how much of them is trained. */
const TRAINED_SPREAD = 1.5;

const onCpus = ({ profile }: PlanInput): boolean => (profile?.devices ?? 0) === 0;

/** It fills micro-batches of bounded size, whatever the batch; so does the TypeScript runtime. */
const runsOnTorch = ({ profile }: PlanInput): boolean => profile?.runtime === 'runtime-torch';
const runsOnNode = (input: PlanInput): boolean =>
  onCpus(input) && !(input.tuning.type === 'qlora' && input.tuning.bits === 4);

/** The estimate for the runtime that will run it, within `limitMib` where it can be. Pure. */
export function memoryOf(input: PlanInput, limitMib: number): MemoryEstimate {
  if (runsOnTorch(input)) return torchMemoryOf(input, limitMib);
  if (runsOnNode(input)) return nodeMemoryOf(input, limitMib);
  const rowTokens = rowTokensOf(input);
  const rows = Math.min(input.hyperparameters.globalBatch, Math.max(1, input.rows));
  return estimateMemory({
    shape: input.shape,
    tuning: input.tuning,
    rowTokens,
    microBatchTokens: passTokensOf(input) * Math.ceil(rows / (input.worldSize ?? 1)),
    limitMib,
  });
}

/** The same numbers and the same choice of mode as the runtime makes, so that it does not refuse what was planned. */
function nodeMemoryOf(input: PlanInput, limitMib: number): MemoryEstimate {
  const { shape, tuning } = input;
  const microBatchTokens = Math.max(NODE_TOKEN_BUDGET, passTokensOf(input));
  const estimateIn = (memoryMode: MemoryEstimate['memoryMode']): MemoryEstimate => {
    const { components, totalMib } = estimateNodeMemory({
      ...shape,
      keyValueHeads: shape.kvHeads,
      trainedParameters: trainableParameters(shape, tuning),
      wholeMatrices: wholeMatrices(shape, tuning),
      ...nodeTuning(input),
      microBatchTokens,
      microBatchTrained: Math.ceil(microBatchTokens * Math.min(1, (input.trainedShare ?? 1) * TRAINED_SPREAD)),
      memoryMode,
    });
    return { components: [...components], totalMib, memoryMode };
  };
  if (tuning.type === 'qlora') return estimateIn('layer-recompute');
  const whole = estimateIn('whole-step');
  return whole.totalMib <= limitMib ? whole : estimateIn('layer-recompute');
}

const torchMemoryOf = (input: PlanInput, limitMib: number): MemoryEstimate =>
  planTorchMemory(
    {
      ...{ shape: input.shape, method: input.method, tuning: input.tuning, passTokens: passTokensOf(input) },
      optimizer: input.hyperparameters.optimizer,
      ...{ precision: precisionOf(input).precision, processes: input.worldSize ?? 1, onGpu: !onCpus(input) },
      hostMib: hostMibOf(input),
      neftune: input.hyperparameters.neftuneNoiseAlpha !== undefined,
      answersTogether: input.answers?.toEach ?? 0,
      keepsStart: input.answers?.nearStart ?? false,
    },
    limitMib,
  );

/** The processes of a node share its memory; as many are reckoned with as a node can have. */
function hostMibOf({ profile, worldSize = 1 }: PlanInput): number | undefined {
  const host = profile?.hostMemoryMib;
  return host === undefined ? undefined : host / Math.min(worldSize, profile?.maxDevicesPerNode ?? worldSize);
}

/** What the run is computed in, and why. */
export const precisionOf = (input: PlanInput): ReturnType<typeof choosePrecision> =>
  choosePrecision({
    ...{ asked: input.precision ?? null, offered: input.profile?.precisions, onDevices: !onCpus(input) },
  });
