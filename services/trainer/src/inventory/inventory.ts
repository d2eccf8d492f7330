import { readFile } from 'node:fs/promises';
import { availableParallelism, freemem, totalmem } from 'node:os';
import type { z } from 'zod';
import type { RunSpec, inventory } from '@luthier/contracts';
import type { RunsBucket } from '@luthier/messaging';
import { InventorySource } from './inventory-source.js';
import type { RunExecutor } from '../runs/run-executor.js';
import type { RuntimeProfile } from '../trainer.config.js';
import type { RuntimeCapabilities } from './capabilities.js';

const MIB = 1024 * 1024;
const DEFAULT_SHARE = 0.75;

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
      const memoryMib = Math.min(
        Math.floor((totalmem() / MIB) * DEFAULT_SHARE),
        profile.memoryMib ?? Number.MAX_SAFE_INTEGER,
      );
      const { name, runtime, device, devices, slots } = profile;
      profiles.push({
        ...{ name, runtime, device, devices, slots, memoryMib, capabilities },
        cpus: profile.cpus ?? Math.max(1, availableParallelism() - 1),
        freeMemoryMib: Math.max(0, Math.min(memoryMib - reservedMib(specs, name), availableMib)),
      });
    }
    return { observedAt: new Date().toISOString(), profiles, countedRuns };
  }
}

const reservedMib = (specs: readonly (RunSpec | undefined)[], profile: string): number =>
  specs.reduce((sum, spec) => sum + (spec?.profile === profile ? spec.resources.memoryMib : 0), 0);

/** What could be had without swapping. */
async function availableMemoryMib(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return Math.floor(kib === undefined ? freemem() / MIB : Number(kib) / 1_024);
}
