import type { ModelShape, Plan, Tuning } from '@luthier/contracts';
import { advise, planRun } from '@luthier/planner';
import type { KnownModel } from '@luthier/planner';

export interface MachinePlanInput {
  readonly models: readonly KnownModel[];
  readonly runtime: 'runtime-node' | 'runtime-torch';
  readonly cpus: number;
  /** What one run may take. */
  readonly memoryMib: number;
  readonly rows: number;
  /** Of a row, question and answer together. */
  readonly rowTokens: number;
  /** How often all rows are read; undefined: as the platform would choose. */
  readonly epochs?: number | undefined;
}

export interface PlannedRun {
  readonly model: string;
  readonly parameters: number;
  readonly tuning: Tuning;
  readonly plan: Plan;
}

const ADAPTER = { r: 16, loraAlpha: 32, loraDropout: 0, targetModules: 'all-linear', useRslora: false } as const;

/** From the one that takes least of a machine's time and memory for what it gives. */
const TUNINGS: readonly Tuning[] = [
  { type: 'lora', ...ADAPTER },
  { type: 'qlora', bits: 8, ...ADAPTER },
  { type: 'full' },
];

/** Each model with each kind of tuning, as the platform would plan it on this machine's processor. Pure. */
export function planMachine(input: MachinePlanInput): PlannedRun[] {
  return input.models.flatMap(({ title, shape }) =>
    TUNINGS.map((tuning) => ({
      ...{ model: title, parameters: shape.parameters, tuning },
      plan: planOne(input, shape, tuning),
    })),
  );
}

function planOne(input: MachinePlanInput, shape: ModelShape, asked: Tuning): Plan {
  const { rows, rowTokens, runtime, cpus, memoryMib } = input;
  const { tuning, hyperparameters, cutoffLength } = advise({
    shape,
    rows,
    requested: {
      method: { type: 'supervised' },
      hyperparameters: { epochs: input.epochs },
      tuning: asked,
      cutoffLength: rowTokens,
    },
  });
  return planRun({
    ...{ shape, method: 'supervised', tuning, hyperparameters, rows, cutoffLength },
    ...{ longestRowTokens: rowTokens, tokensPerEpoch: rows * rowTokens },
    profile: {
      ...{ name: 'this machine', runtime, device: 'CPU', cpus, devices: 0 },
      ...{ memoryMib, freeMemoryMib: memoryMib },
    },
  });
}
