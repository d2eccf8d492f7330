import { mkdirSync, readFileSync } from 'node:fs';
import { AppError, EXIT, exitOfErrorCode, runtimeSpec } from '@luthier/contracts';
import type { Capabilities, RuntimeSpec } from '@luthier/contracts';
import { MODEL_ARCHITECTURES } from '@luthier/formats';
import { engineStates } from './engine/engine.js';
import { EventsFile } from './control/events-file.js';
import { faultOf } from './control/fault.js';
import { SUPPORTED_FEATURES, SUPPORTED_METHODS, SUPPORTED_TUNINGS } from './inputs/open-inputs.js';
import { StopRequested } from './control/run-control.js';
import { score } from './score.js';
import { TrainRun } from './train.js';

const CRASHED = 1;

export const CAPABILITIES: Omit<Capabilities, 'engines'> = {
  runtime: 'runtime-node',
  version: '0.1.0',
  modes: ['train', 'score'],
  architectures: [...MODEL_ARCHITECTURES],
  methods: [...SUPPORTED_METHODS],
  tunings: [...SUPPORTED_TUNINGS],
  features: [...SUPPORTED_FEATURES],
  precisions: ['float32'],
};

function readSpec(path: string): RuntimeSpec {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new AppError('config.bad', `The spec cannot be read: ${path}`, { cause });
  }
  const parsed = runtimeSpec.safeParse(content);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new AppError(
    'config.bad',
    `The spec is not valid at ${issue?.path.join('.') || 'its top'}: ${issue?.message ?? ''}`,
  );
}

/** `capabilities`, `train <spec.json>` or `score <spec.json>`; returns the exit status (contracts 5). */
export async function runCommand(
  args: readonly string[],
  print: (text: string) => void,
  log: (text: string) => void,
): Promise<number> {
  const [mode, path] = args;
  if (mode === 'capabilities') {
    print(JSON.stringify({ ...CAPABILITIES, engines: await engineStates() }, null, 2));
    return EXIT.done;
  }
  if ((mode !== 'train' && mode !== 'score') || !path) {
    log('usage: runtime-node capabilities | train <spec.json> | score <spec.json>');
    return EXIT.badConfiguration;
  }
  let events: EventsFile | undefined;
  let run: TrainRun | undefined;
  try {
    const spec = readSpec(path);
    if (spec.mode !== mode)
      throw new AppError('config.bad', `The spec is for mode "${spec.mode}", the command is "${mode}".`);
    mkdirSync(spec.outputDir, { recursive: true });
    events = new EventsFile(spec.outputDir);
    if (mode === 'train') {
      run = await TrainRun.open(spec, events);
      events.write({ type: 'result', result: await run.run() });
    } else events.write({ type: 'result', result: await score(spec, events) });
    return EXIT.done;
  } catch (thrown) {
    if (thrown instanceof StopRequested) return EXIT.savedAndLeft;
    return reportFault(thrown, events, run?.step ?? 0, log);
  } finally {
    events?.close();
  }
}

/** Says why in the log and, as far as the disk allows, in the events file. */
function reportFault(
  thrown: unknown,
  events: EventsFile | undefined,
  step: number,
  log: (text: string) => void,
): number {
  const fault = faultOf(thrown, 'runtime.crashed');
  log(fault.cause instanceof Error ? (fault.cause.stack ?? fault.message) : (fault.stack ?? fault.message));
  // The step that failed is the one after the last finished one.
  const failedStep = fault.code === 'training.diverged' ? step + 1 : step;
  try {
    events?.write({ type: 'failed', code: fault.code, message: fault.message, hint: fault.hint, step: failedStep });
  } catch (unwritable) {
    log(`the events file cannot be written: ${String(unwritable)}`);
  }
  return exitOfErrorCode(fault.code) ?? CRASHED;
}
