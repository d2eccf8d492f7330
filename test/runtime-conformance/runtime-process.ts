import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimeEvent } from '@luthier/contracts';
import type { RuntimeEvent, RuntimeSpec } from '@luthier/contracts';

export interface RuntimeExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly log: string;
}

/** One started runtime; its standard input is held open by the test, as the runner does. */
export class RuntimeProcess {
  readonly ended: Promise<RuntimeExit>;
  private constructor(readonly child: ChildProcessWithoutNullStreams) {
    let log = '';
    child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, log }));
    });
  }

  static start(command: readonly string[], args: readonly string[]): RuntimeProcess {
    const [program = '', ...first] = command;
    return new RuntimeProcess(spawn(program, [...first, ...args], { stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  /** Writes the spec beside its output folder and starts the runtime with it. */
  static async startSpec(command: readonly string[], spec: RuntimeSpec): Promise<RuntimeProcess> {
    await mkdir(spec.outputDir, { recursive: true });
    const path = `${spec.outputDir}.spec.json`;
    await writeFile(path, JSON.stringify(spec));
    return RuntimeProcess.start(command, [spec.mode, path]);
  }
}

/** Whole lines of the events file; each has to match the contract's schema. */
export async function readEvents(outputDir: string): Promise<RuntimeEvent[]> {
  let text: string;
  try {
    text = await readFile(join(outputDir, 'events.0.jsonl'), 'utf8');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => runtimeEvent.parse(JSON.parse(line)));
}

export async function eventsOfType<T extends RuntimeEvent['type']>(
  outputDir: string,
  type: T,
): Promise<Extract<RuntimeEvent, { type: T }>[]> {
  const events = await readEvents(outputDir);
  return events.filter((event): event is Extract<RuntimeEvent, { type: T }> => event.type === type);
}
