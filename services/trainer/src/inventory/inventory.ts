import { readFile } from 'node:fs/promises';
import { availableParallelism, freemem, hostname, totalmem } from 'node:os';
import type { z } from 'zod';
import type { Capabilities, ClusterReport, DoctorReport, RunSpec, inventory } from '@luthier/contracts';
import type { RunsBucket } from '@luthier/messaging';
import { fail, ok } from './findings.js';
import { InventorySource } from './inventory-source.js';
import type { FitAnswers, RunShape } from './inventory-source.js';
import { fitHere } from './local-fit.js';
import type { RunExecutor } from '../runs/run-executor.js';
import type { RuntimeProfile } from '../trainer.config.js';
import type { RuntimeCapabilities } from './capabilities.js';

const MIB = 1024 * 1024;
const DEFAULT_SHARE = 0.75;
const LOCAL = 'Runs are local processes on this machine.';

/** What runs can be placed on now, and which runs are already counted as taking some of it. */
export class InventoryReader extends InventorySource {
  constructor(
    private readonly profiles: readonly RuntimeProfile[],
    private readonly parts: {
      executor: Pick<RunExecutor, 'liveRuns'>;
      runs: Pick<RunsBucket, 'get'>;
      capabilities: RuntimeCapabilities;
    },
  ) {
    super();
  }

  override async read(): Promise<z.input<typeof inventory>> {
    const countedRuns = [...this.parts.executor.liveRuns()];
    const specs = (await Promise.all(countedRuns.map((runId) => this.parts.runs.get('spec', runId)))).map(
      (entry) => entry?.value,
    );
    const availableMib = await availableMemoryMib();
    const profiles = [];
    for (const profile of this.profiles) {
      const capabilities = await this.parts.capabilities.of(profile.command);
      if (!capabilities) continue;
      const hostMemoryMib = Math.min(
        Math.floor((totalmem() / MIB) * DEFAULT_SHARE),
        profile.memoryMib ?? Number.MAX_SAFE_INTEGER,
      );
      const { name, runtime, device, devices, slots } = profile;
      profiles.push({
        ...{ name, runtime, device, devices, slots, capabilities, ...precisionsOf(devices, capabilities) },
        cpus: profile.cpus ?? Math.max(1, availableParallelism() - 1),
        ...(devices > 0 && { maxDevicesPerNode: devices, nodes: 1, freeDevices: devices - takenDevices(specs, name) }),
        ...memoryOf(devices, capabilities, {
          memoryMib: hostMemoryMib,
          freeMemoryMib: Math.max(0, Math.min(hostMemoryMib - reservedMib(specs, name), availableMib)),
        }),
      });
    }
    return { observedAt: new Date().toISOString(), profiles, countedRuns };
  }

  override async fitRun(shape: RunShape): Promise<FitAnswers> {
    const asked = this.profiles.filter(({ name }) => shape.profiles.includes(name));
    return Promise.resolve(asked.map((profile) => ({ profile: profile.name, fit: fitHere(shape, profile) })));
  }

  override async report(): Promise<ClusterReport> {
    const { profiles, observedAt } = await this.read();
    const total = availableParallelism();
    const taken = this.parts.executor.liveRuns().length;
    const freeCpus = Math.max(0, total - taken * Math.max(1, ...profiles.map(({ cpus }) => cpus)));
    return {
      ...{ executor: 'process', message: LOCAL, observedAt, namespace: null },
      nodes: [
        {
          ...{ name: hostname(), ready: true, schedulable: true, computeMajor: null, devices: [] },
          ...{ mig: 'none', sharing: 'none', taints: [] },
          cpu: { total, free: freeCpus },
          memoryMib: { total: Math.floor(totalmem() / MIB), free: await availableMemoryMib() },
        },
      ],
      ...{ groups: [], quotas: [], queues: null, watches: [] },
    };
  }

  override async check(): Promise<DoctorReport> {
    const { profiles } = await this.read();
    const silent = this.profiles.filter(({ name }) => profiles.every((found) => found.name !== name));
    return {
      executor: 'process',
      ok: silent.length === 0,
      checks: [
        ok('executor', 'local-runs', {}),
        ...silent.map(({ name, command }) =>
          fail({ topic: 'runtime', profile: name }, 'runtime-silent', { command: command.join(' ').slice(0, 300) }),
        ),
        ...profiles.map(({ name, device, memoryMib }) =>
          ok({ topic: 'runtime', profile: name }, 'runtime-answers', { device, memoryMib }),
        ),
      ],
    };
  }
}

type Device = NonNullable<Capabilities['devices']>[number];
interface Memory {
  readonly memoryMib: number;
  readonly freeMemoryMib: number;
}

/** What a profile's runs compute on, of all that its runtime has found. */
const devicesFor = (devices: number, { devices: found = [] }: Capabilities): Device[] =>
  found.filter(({ type }) => type === (devices > 0 ? 'cuda' : 'cpu'));

/** With GPUs of known size the memory is that of the smallest of them. */
function memoryOf(devices: number, capabilities: Capabilities, host: Memory): Memory & { hostMemoryMib?: number } {
  const sizes = devicesFor(devices, capabilities).flatMap(({ memoryMib }) => memoryMib ?? []);
  if (devices === 0 || sizes.length === 0) return host;
  const memoryMib = Math.min(...sizes);
  return { memoryMib, freeMemoryMib: memoryMib, hostMemoryMib: host.memoryMib };
}

/** Precisions that all of them compute in. */
function precisionsOf(devices: number, capabilities: Capabilities): { precisions?: string[] } {
  const [first, ...others] = devicesFor(devices, capabilities);
  if (!first) return {};
  return {
    precisions: first.precisions.filter((name) => others.every(({ precisions }) => precisions.includes(name))),
  };
}

const takenDevices = (specs: readonly (RunSpec | undefined)[], profile: string): number =>
  specs.reduce((sum, spec) => sum + (spec?.profile === profile ? spec.resources.devicesPerNode : 0), 0);

const reservedMib = (specs: readonly (RunSpec | undefined)[], profile: string): number =>
  specs.reduce((sum, spec) => sum + (spec?.profile === profile ? spec.resources.memoryMib : 0), 0);

/** What could be had without swapping. */
async function availableMemoryMib(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return Math.floor(kib === undefined ? freemem() / MIB : Number(kib) / 1_024);
}
