import { availableParallelism, totalmem } from 'node:os';
import { KNOWN_MODELS, localRunMemoryMib } from '@luthier/planner';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { planMachine } from './machine-plan.js';
import type { MachinePlanInput } from './machine-plan.js';
import { modelOfFolder } from './model-of-folder.js';
import { planText } from './plan-text.js';

interface PlanOptions {
  model?: string;
  rows: number;
  tokens: number;
  epochs?: number;
  memory?: number;
  cpus?: number;
  runtime: 'node' | 'torch';
  json?: boolean;
}

/** `luthier plan`: what fits this machine, before anything is installed or imported. */
export function addPlanCommand(program: Command): void {
  program
    .command('plan')
    .description('show which models this machine can tune, with memory and time; starts nothing')
    .option('--model <folder>', 'a Hugging Face folder, or its config.json, in place of well-known models')
    .option('--rows <number>', 'rows to learn from', wholeNumber, 1000)
    .option('--tokens <number>', 'tokens of a row, question and answer together', wholeNumber, 128)
    .option('--epochs <number>', 'how often all rows are read (by default as a job would choose)', wholeNumber)
    .addOption(memoryOption())
    .option('--cpus <number>', 'cores to compute on', wholeNumber)
    .addOption(runtimeOption())
    .option('--json', 'print plans with their components as JSON')
    .action(async (options: PlanOptions) => {
      const input = await inputOf(options);
      const runs = planMachine(input);
      console.log(options.json === true ? JSON.stringify(runs, null, 2) : planText(input, runs));
    });
}

const memoryOption = (): Option =>
  new Option('--memory <MiB>', 'what a run may take; default: three quarters of the machine')
    .argParser(wholeNumber)
    .env('LUTHIER_RUN_MEMORY_MIB');

const runtimeOption = (): Option =>
  new Option('--runtime <runtime>', 'what trains')
    .choices(['node', 'torch'])
    .default('node')
    .env('LUTHIER_LOCAL_RUNTIME');

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It is not a whole number above 0.');
  return value;
}

async function inputOf({ model, rows, tokens, epochs, memory, cpus, runtime }: PlanOptions): Promise<MachinePlanInput> {
  return {
    models: model === undefined ? KNOWN_MODELS : [await modelOfFolder(model)],
    runtime: `runtime-${runtime}`,
    cpus: cpus ?? availableParallelism(),
    memoryMib: memory ?? localRunMemoryMib(totalmem()),
    ...{ rows, rowTokens: tokens, epochs },
  };
}
