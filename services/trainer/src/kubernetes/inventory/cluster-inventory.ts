import type { z } from 'zod';
import type { ClusterCheck, ClusterReport, DoctorReport, inventory } from '@luthier/contracts';
import { fitAnswer, hindrance } from '../../inventory/fit-answer.js';
import { InventorySource } from '../../inventory/inventory-source.js';
import type { FitAnswers, RunShape } from '../../inventory/inventory-source.js';
import type { ClusterProfile } from '../cluster-profile.js';
import type { ClusterSnapshot } from './cluster-snapshot.js';
import { fitOnProfile, offerOf } from './profile-fit.js';
import { takeSnapshot } from './snapshot.js';
import type { SnapshotInput } from './snapshot.js';

export interface ClusterInventoryParts {
  /** What the watches show at this moment. */
  readonly input: () => SnapshotInput;
  /** Whether what decides about a run is known: nothing is called impossible before. */
  readonly knows: (what: 'nodes' | 'queues') => boolean;
  readonly watches: () => ClusterReport['watches'];
  readonly check: () => Promise<ClusterCheck[]>;
}

/** What a cluster offers through its profiles. */
export class ClusterInventory extends InventorySource {
  constructor(
    private readonly profiles: readonly ClusterProfile[],
    private readonly parts: ClusterInventoryParts,
  ) {
    super();
  }

  snapshot(): ClusterSnapshot {
    const deviceResources = this.profiles.flatMap(({ deviceResource }) => deviceResource ?? []);
    return takeSnapshot({ ...this.parts.input(), deviceResources });
  }

  override async read(): Promise<z.input<typeof inventory>> {
    const snapshot = this.snapshot();
    return Promise.resolve({
      observedAt: new Date().toISOString(),
      profiles: this.profiles.map((profile) => offerOf(profile, snapshot)),
      countedRuns: [...snapshot.countedRuns],
    });
  }

  override async fitRun(shape: RunShape): Promise<FitAnswers> {
    const whole = this.snapshot();
    const snapshot = { ...whole, nodes: whole.nodes.filter(({ name }) => shape.withoutNodes?.includes(name) !== true) };
    const asked = this.profiles.filter(({ name }) => shape.profiles.includes(name));
    const known = (profile: ClusterProfile): boolean =>
      this.parts.knows('nodes') && ((shape.queue ?? profile.queue ?? null) === null || this.parts.knows('queues'));
    return Promise.resolve(
      asked.map((profile) => ({
        profile: profile.name,
        fit: known(profile) ? fitOnProfile(shape, profile, snapshot) : NOT_KNOWN,
      })),
    );
  }

  override async report(): Promise<ClusterReport> {
    const { namespace, nodes, groups, quotas, queues } = this.snapshot();
    const watches = this.parts.watches();
    return Promise.resolve({
      executor: 'kubernetes',
      message: summaryOf({ nodes: nodes.length, groups, away: watches.filter(({ connected }) => !connected).length }),
      observedAt: new Date().toISOString(),
      namespace,
      nodes: nodes.map(({ labels: _, pods: __, ...node }) => node),
      groups: [...groups],
      quotas: [...quotas],
      queues: queues && [...queues],
      watches,
    });
  }

  override async check(): Promise<DoctorReport> {
    const checks = await this.parts.check();
    return { executor: 'kubernetes', ok: checks.every(({ state }) => state !== 'fail'), checks };
  }
}

const NOT_KNOWN = fitAnswer(hindrance('unknown', {}), { canEverFit: true, fitsNow: false });

function summaryOf({
  nodes,
  groups,
  away,
}: {
  nodes: number;
  groups: ClusterSnapshot['groups'];
  away: number;
}): string {
  const total = groups.reduce((sum, group) => sum + group.total, 0);
  const free = groups.reduce((sum, group) => sum + group.free, 0);
  const lost = away > 0 ? ` ${away} of its watches ${away === 1 ? 'is' : 'are'} not connected: this may be old.` : '';
  return `Runs are Kubernetes Jobs. ${nodes} ${nodes === 1 ? 'node' : 'nodes'}, ${total} GPUs, ${free} of them free.${lost}`;
}
