import { setTimeout as sleep } from 'node:timers/promises';
import { CannotStart } from './container-run.js';
import type { ContainerRun } from './container-run.js';
import type { ScriptedFate } from './fate.js';
import type { Container, Pod } from '../objects.js';
import type { PodRuntime } from './pod-worker.js';
import { ScriptedContainer } from './scripted-container.js';

/** Plays a script: nothing of the pod is executed. Its init containers succeed at once. */
export class ScriptedRuntime implements PodRuntime {
  readonly probes = false;

  constructor(
    private readonly pod: Pod,
    private readonly fate: ScriptedFate,
    readonly podIP: string,
  ) {}

  async prepare(signal: AbortSignal): Promise<void> {
    if (this.fate.type === 'wait' || this.fate.startAfterMs === undefined) return;
    await sleep(this.fate.startAfterMs, undefined, { signal });
  }

  start({ name }: Container): Promise<ContainerRun> {
    const { fate } = this;
    if (fate.type === 'wait') {
      const event = fate.event === undefined ? undefined : { type: 'Warning' as const, reason: fate.event };
      return Promise.reject(new CannotStart(fate.reason, fate.message ?? '', event));
    }
    const isInit = this.pod.spec.initContainers?.some((container) => container.name === name) === true;
    return Promise.resolve(new ScriptedContainer(isInit ? { type: 'end', exitCode: 0, afterMs: 0 } : fate));
  }

  async remove(): Promise<void> {
    // nothing was made
  }
}
