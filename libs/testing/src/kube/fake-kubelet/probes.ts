import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, Probe } from '../objects.js';
import type { ContainerRun } from './container-run.js';

interface Probing {
  container: Container;
  run: ContainerRun;
  podIP: string;
  /** False: nothing is executed; the script says by `exec` whether it is ready. */
  real: boolean;
  signal: AbortSignal;
  onChange: (state: { ready: boolean; started: boolean }) => void;
  /** Startup or liveness has failed for good. */
  onDead: () => void;
}

/** Asks a container's probes until `signal` is aborted: startup first, then liveness and readiness beside each other. */
export function watchProbes(probing: Probing): void {
  void watch(probing).catch(() => undefined); // aborted
}

async function watch({ container, run, podIP, real, signal, onChange, onDead }: Probing): Promise<void> {
  if (!real) {
    onChange({ ready: (await run.exec([], 0)) === 0, started: true });
    return;
  }
  const ask = (probe: Probe): Promise<boolean> => askOnce(probe, container, run, podIP);
  const { startupProbe, livenessProbe, readinessProbe } = container;
  onChange({ ready: false, started: false });
  if (startupProbe && !(await until(startupProbe, ask, signal))) {
    onDead();
    return;
  }
  onChange({ ready: !readinessProbe, started: true });
  const failsForGood = async (probe: Probe): Promise<void> => {
    await follow(probe, true, ask, signal, (alive) => {
      if (!alive) onDead();
    });
  };
  const changes = async (probe: Probe): Promise<void> =>
    follow(probe, false, ask, signal, (ready) => onChange({ ready, started: true }));
  await Promise.all([livenessProbe && failsForGood(livenessProbe), readinessProbe && changes(readinessProbe)]);
}

/** True at the first success, false after too many failures. */
async function until(probe: Probe, ask: (probe: Probe) => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  await pause(probe.initialDelaySeconds ?? 0, signal);
  for (let failures = 0; failures < (probe.failureThreshold ?? 3);) {
    if (await ask(probe)) return true;
    failures += 1;
    await pause(probe.periodSeconds ?? 10, signal);
  }
  return false;
}

/** Calls `tell` when so many answers in a row say another thing than before. */
async function follow(
  probe: Probe,
  first: boolean,
  ask: (probe: Probe) => Promise<boolean>,
  signal: AbortSignal,
  tell: (good: boolean) => void,
): Promise<never> {
  let good = first;
  let against = 0;
  await pause(probe.initialDelaySeconds ?? 0, signal);
  for (;;) {
    against = (await ask(probe)) === good ? 0 : against + 1;
    const enough = good ? (probe.failureThreshold ?? 3) : (probe.successThreshold ?? 1);
    if (against >= enough) {
      good = !good;
      against = 0;
      signal.throwIfAborted();
      tell(good);
    }
    await pause(probe.periodSeconds ?? 10, signal);
  }
}

const pause = (seconds: number, signal: AbortSignal): Promise<void> =>
  sleep(seconds * 1_000, undefined, { signal, ref: false });

async function askOnce(probe: Probe, container: Container, run: ContainerRun, podIP: string): Promise<boolean> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1_000;
  if (probe.exec) return (await run.exec(probe.exec.command ?? [], timeoutMs)) === 0;
  if (probe.httpGet) return getsWell(probe.httpGet, portOf(container, probe.httpGet.port), podIP, timeoutMs);
  if (probe.tcpSocket)
    return connects(probe.tcpSocket.host ?? podIP, portOf(container, probe.tcpSocket.port), timeoutMs);
  throw new Error(`a probe of ${container.name} is of a kind that the fake kubelet does not know`);
}

function portOf({ ports = [], name }: Container, port: number | string): number {
  if (typeof port === 'number') return port;
  const found = ports.find((named) => named.name === port)?.containerPort;
  if (found === undefined) throw new Error(`container ${name} has no port "${port}"`);
  return found;
}

function getsWell(
  { path = '/', scheme = 'HTTP', host, httpHeaders = [] }: NonNullable<Probe['httpGet']>,
  port: number,
  podIP: string,
  timeoutMs: number,
): Promise<boolean> {
  const headers = Object.fromEntries(httpHeaders.map(({ name, value = '' }) => [name, value]));
  const target = { host: host ?? podIP, port, path, headers, signal: AbortSignal.timeout(timeoutMs) };
  return new Promise((resolve) => {
    // A kubelet does not verify certificates of pods.
    const asked = scheme === 'HTTPS' ? getHttps({ ...target, rejectUnauthorized: false }) : getHttp(target);
    asked.once('response', (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      resolve(statusCode >= 200 && statusCode < 400);
    });
    asked.on('error', () => resolve(false));
  });
}

function connects(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: timeoutMs });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
