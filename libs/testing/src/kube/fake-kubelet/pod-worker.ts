import { setTimeout as sleep } from 'node:timers/promises';
import { KubeApiError } from '../kube-api.js';
import type { KubeApi } from '../kube-api.js';
import type { Condition, Container, Pod } from '../objects.js';
import { CannotStart } from './container-run.js';
import type { ContainerRun, Exit } from './container-run.js';
import type { ScriptedEnd } from './fate.js';
import { phaseOf, podStatus, viewOf, withTransitionTimes } from './pod-status.js';
import type { ContainerView, PodView } from './pod-status.js';
import { watchProbes } from './probes.js';

/** How containers of a pod come to run. */
export interface PodRuntime {
  readonly podIP: string;
  /** Before the first container: volumes, network. @throws CannotStart */
  prepare(signal: AbortSignal): Promise<void>;
  /** @throws CannotStart */
  start(container: Container): Promise<ContainerRun>;
  /** Whether probes are asked for real. */
  readonly probes: boolean;
  /** After the last one. */
  remove(): Promise<void>;
}

export interface PodWorkerOptions {
  api: KubeApi;
  runtime: PodRuntime;
  /** False while the node is cut off: nothing is reported and no order arrives. */
  online: () => boolean;
  /** The pod is something else than before. */
  onChange: () => void;
  /** What the script says about the pod when its containers end by themselves. */
  ending?: ScriptedEnd;
  /** Before a container is started again; doubles up to five minutes. */
  restartBackoffMs: number;
}

const RETRY_START_MS = 500;
const RETRY_REPORT_MS = 200;
const MAX_BACKOFF_MS = 300_000;

/** A container of the pod and what has become of it. */
class Slot {
  readonly view: ContainerView;
  run: ContainerRun | undefined;
  previous: ContainerRun | undefined;
  constructor(readonly spec: Container) {
    this.view = viewOf(spec.name, spec.image ?? '', 'ContainerCreating');
  }
}

/** Takes one pod from being bound to its node to its removal, as a kubelet does. */
export class PodWorker {
  readonly slots: { init: Slot[]; containers: Slot[] };
  private readonly view: PodView;
  private readonly stopping = new AbortController();
  private readonly finished: Promise<void>;
  private forced: ScriptedEnd | undefined;
  private known: Condition[];
  private dirty = false;
  private reporting: Promise<void> | undefined;
  private terminating: Promise<void> | undefined;
  private gone = false;

  constructor(
    private readonly pod: Pod,
    private readonly options: PodWorkerOptions,
  ) {
    const { initContainers = [], containers } = pod.spec;
    this.slots = { init: initContainers.map((c) => new Slot(c)), containers: containers.map((c) => new Slot(c)) };
    this.known = pod.status?.conditions ?? [];
    this.view = {
      podIP: options.runtime.podIP,
      startTime: new Date().toISOString(),
      init: this.slots.init.map(({ view }) => view),
      containers: this.slots.containers.map(({ view }) => view),
      conditions: [],
    };
    if (initContainers.length > 0)
      for (const { view } of this.slots.containers) view.state = { waiting: { reason: 'PodInitializing' } };
    this.finished = this.live();
  }

  /** Whether Services lead to it: not once it is told to go. */
  get ready(): boolean {
    return !this.terminating && phaseOf(this.view) === 'Running' && this.view.containers.every(({ ready }) => ready);
  }
  get podIP(): string {
    return this.view.podIP;
  }

  slot(container: string): Slot | undefined {
    return [...this.slots.init, ...this.slots.containers].find(({ spec }) => spec.name === container);
  }

  /** The newest state of the object. */
  observe(pod: Pod): void {
    if (pod.metadata.deletionTimestamp === undefined || !this.options.online()) return;
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30) * 1_000;
    if (this.terminating) return;
    this.terminating = this.terminate(graceMs).then(() => this.removeObject());
    this.options.onChange();
  }

  /** The object is gone, whoever removed it: so are its containers. */
  async vanish(): Promise<void> {
    this.gone = true;
    this.stopping.abort();
    this.killAll();
    await this.finished;
    await this.options.runtime.remove();
  }

  /** Ends it now in a way of the test's choosing. */
  async end(end: ScriptedEnd): Promise<void> {
    this.forced = end;
    this.sayWhy(end);
    this.stopping.abort();
    this.killAll();
    await this.finished;
  }

  private sayWhy({ podReason, podMessage, conditions = [] }: ScriptedEnd): void {
    Object.assign(this.view, {
      ...(podReason !== undefined && { reason: podReason, failed: true }),
      ...(podMessage !== undefined && { message: podMessage }),
      conditions: [...this.view.conditions, ...conditions],
    });
  }

  /** Says again how it is, for instance after a time without connection. */
  report(): void {
    this.dirty = true;
    this.options.onChange();
    this.reporting ??= this.deliver().finally(() => (this.reporting = undefined));
  }

  private async live(): Promise<void> {
    this.report();
    await this.untilStartable(this.slots.containers, () => this.options.runtime.prepare(this.stopping.signal));
    for (const slot of this.slots.init) {
      await this.runContainer(slot, this.pod.spec.restartPolicy === 'Never' ? 'Never' : 'OnFailure');
      if (slot.view.state.terminated?.exitCode !== 0) break;
    }
    if (this.slots.init.every(({ view }) => view.state.terminated?.exitCode === 0)) {
      const policy = this.pod.spec.restartPolicy ?? 'Always';
      await Promise.all(this.slots.containers.map((slot) => this.runContainer(slot, policy)));
    }
    if (this.stopping.signal.aborted) this.settleUnstarted();
    this.report();
  }

  private async runContainer(slot: Slot, policy: 'Always' | 'OnFailure' | 'Never'): Promise<void> {
    let backoffMs = this.options.restartBackoffMs;
    while (!this.stopping.signal.aborted) {
      const run = await this.untilStartable([slot], () => this.options.runtime.start(slot.spec));
      if (!run) return;
      const exit = await this.follow(slot, run);
      const again = policy === 'Always' || (policy === 'OnFailure' && exit.exitCode !== 0);
      if (!again || this.stopping.signal.aborted) break;
      slot.view.lastState = slot.view.state;
      const message = `back-off ${backoffMs / 1_000}s restarting failed container=${slot.spec.name} pod=${this.pod.metadata.name}`;
      slot.view.state = { waiting: { reason: 'CrashLoopBackOff', message } };
      this.report();
      await sleep(backoffMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
      slot.view.restarts += 1;
    }
    slot.view.over = slot.view.state.terminated !== undefined;
  }

  /** From the start of a container to its end. */
  private async follow(slot: Slot, run: ContainerRun): Promise<Exit> {
    const startedAt = new Date().toISOString();
    slot.previous = slot.run ?? slot.previous;
    slot.run = run;
    slot.view.state = { running: { startedAt } };
    if (this.stopping.signal.aborted) run.kill();
    const probing = new AbortController();
    watchProbes({
      container: slot.spec,
      run,
      podIP: this.view.podIP,
      real: this.options.runtime.probes,
      signal: probing.signal,
      onChange: ({ ready, started }) => {
        Object.assign(slot.view, { ready, started });
        this.report();
      },
      onDead: () => void this.endRun(run, (this.pod.spec.terminationGracePeriodSeconds ?? 30) * 1_000),
    });
    this.report();
    const ended = await run.ended;
    probing.abort();
    const { ending } = this.options;
    if (ending && this.view.conditions.length === 0 && !this.stopping.signal.aborted) this.sayWhy(ending);
    const exit: Exit = this.forced ?? ended;
    Object.assign(slot.view, { ready: false, started: false });
    const reason = exit.reason ?? (exit.exitCode === 0 ? 'Completed' : 'Error');
    slot.view.state = {
      terminated: {
        ...{ exitCode: exit.exitCode, reason, startedAt, finishedAt: new Date().toISOString() },
        ...(exit.message !== undefined && exit.message !== '' && { message: exit.message }),
      },
    };
    if (this.pod.spec.restartPolicy === 'Never') slot.view.over = true;
    this.report();
    return exit;
  }

  /** Tries until it works, or the pod is to go; meanwhile the containers wait with the reason. */
  private async untilStartable<T>(slots: readonly Slot[], start: () => Promise<T>): Promise<T | undefined> {
    let said = '';
    while (!this.stopping.signal.aborted) {
      try {
        return await start();
      } catch (cause) {
        if (this.stopping.signal.aborted) return undefined;
        const refusal = cause instanceof CannotStart ? cause : new CannotStart('CreateContainerError', String(cause));
        const { reason, message, event } = refusal;
        if (said !== `${reason} ${message}`) {
          for (const { view } of slots) view.state = { waiting: { reason, ...(!event && { message }) } };
          if (event) await this.tellEvent(event.reason, message);
          this.report();
        }
        said = `${reason} ${message}`;
      }
      await sleep(RETRY_START_MS, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
    return undefined;
  }

  private async terminate(graceMs: number): Promise<void> {
    this.stopping.abort();
    const runs = [...this.slots.init, ...this.slots.containers].map((slot) => this.stopSlot(slot, graceMs));
    await Promise.all(runs);
    await this.finished;
  }

  private async stopSlot({ spec, run, view }: Slot, graceMs: number): Promise<void> {
    if (!run || !view.state.running) return;
    const { exec, sleep: pause } = spec.lifecycle?.preStop ?? {};
    const deadline = Date.now() + graceMs;
    if (exec?.command) await run.exec(exec.command, graceMs);
    if (pause)
      await Promise.race([sleep(Math.min(pause.seconds * 1_000, graceMs), undefined, { ref: false }), run.ended]);
    await this.endRun(run, Math.max(0, deadline - Date.now()));
  }

  private async endRun(run: ContainerRun, graceMs: number): Promise<void> {
    const timer = setTimeout(() => run.kill(), graceMs);
    if (graceMs > 0) run.terminate();
    await run.ended;
    clearTimeout(timer);
  }

  private killAll(): void {
    for (const { run } of [...this.slots.init, ...this.slots.containers]) run?.kill();
  }

  /** Containers that never ran and never will. */
  private settleUnstarted(): void {
    for (const { view } of [...this.slots.init, ...this.slots.containers]) {
      if (view.state.terminated === undefined) {
        const message = 'The container could not be located when the pod was terminated';
        const end = this.forced ?? { exitCode: 137, reason: 'ContainerStatusUnknown', message };
        const { exitCode, reason = 'Error' } = end;
        view.state = { terminated: { exitCode, reason, ...(end.message !== undefined && { message: end.message }) } };
      }
      view.over = true;
    }
  }

  /** Tells the API server until it knows; a newer state replaces an older one that was not told. */
  private async deliver(): Promise<void> {
    while (this.dirty && !this.gone) {
      if (!this.options.online()) return;
      this.dirty = false;
      const status = podStatus(this.view);
      status.conditions = withTransitionTimes(status.conditions ?? [], this.known, new Date().toISOString());
      this.known = status.conditions;
      const { namespace, name, uid } = this.pod.metadata;
      try {
        await this.options.api.call('PATCH', `/api/v1/namespaces/${namespace}/pods/${name}/status`, {
          body: { metadata: { uid }, status },
          contentType: 'application/strategic-merge-patch+json',
        });
      } catch (cause) {
        // Gone, or another pod has its name: the watch will say so.
        if (cause instanceof KubeApiError && (cause.status === 404 || cause.status === 409)) return;
        this.dirty = true;
        await sleep(RETRY_REPORT_MS);
      }
    }
  }

  /** The last word of a kubelet: nothing of the pod runs any more. */
  private async removeObject(): Promise<void> {
    const { namespace, name, uid } = this.pod.metadata;
    while (!this.gone) {
      await this.reporting;
      if (this.options.online() && !this.dirty) {
        try {
          await this.options.api.delete(`/api/v1/namespaces/${namespace}/pods/${name}`, {
            ...{ apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions: { uid } },
          });
          return;
        } catch (cause) {
          if (cause instanceof KubeApiError && (cause.status === 404 || cause.status === 409)) return;
        }
      }
      if (this.dirty) this.report();
      await sleep(RETRY_REPORT_MS);
    }
  }

  private async tellEvent(reason: string, message: string): Promise<void> {
    const { namespace, name, uid } = this.pod.metadata;
    const now = new Date().toISOString();
    const event = {
      metadata: { generateName: `${name}.`, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
      ...{ type: 'Warning', reason, message, count: 1, firstTimestamp: now, lastTimestamp: now },
      source: { component: 'kubelet', host: this.pod.spec.nodeName },
    };
    await this.options.api.post(`/api/v1/namespaces/${namespace}/events`, event).catch(() => undefined);
  }
}
