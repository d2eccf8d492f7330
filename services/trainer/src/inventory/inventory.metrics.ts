import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import type { ClusterReport } from '@luthier/contracts';
import { ServiceMetrics } from '@luthier/service-kit';
import { InventorySource } from './inventory-source.js';

const MIB = 1024 * 1024;

/** What there is to run on; every replica says the same. Without a cluster it is this machine. */
@Injectable()
export class InventoryMetrics {
  private reading: Promise<Pick<ClusterReport, 'groups' | 'nodes'>> | undefined;

  constructor(
    { registry }: ServiceMetrics,
    private readonly source: InventorySource,
  ) {
    const registers = [registry];
    const read = (): Promise<Pick<ClusterReport, 'groups' | 'nodes'>> => this.read();
    new Gauge({
      name: 'luthier_trainer_devices',
      help: 'Devices that runs can be placed on, by kind: total, and free of them.',
      labelNames: ['product', 'resource', 'state'],
      registers,
      async collect() {
        this.reset();
        for (const { product, resource, total, free } of (await read()).groups) {
          this.set({ product, resource, state: 'total' }, total);
          this.set({ product, resource, state: 'free' }, free);
        }
      },
    });
    new Gauge({
      name: 'luthier_trainer_node_memory_bytes',
      help: 'Host memory of the nodes that runs can be placed on: total, and free of it.',
      labelNames: ['node', 'state'],
      registers,
      async collect() {
        this.reset();
        for (const { name: node, memoryMib } of (await read()).nodes) {
          this.set({ node, state: 'total' }, memoryMib.total * MIB);
          this.set({ node, state: 'free' }, memoryMib.free * MIB);
        }
      },
    });
  }

  /** One look serves all series of a scrape. A fault leaves them out, not all others with them. */
  private read(): Promise<Pick<ClusterReport, 'groups' | 'nodes'>> {
    this.reading ??= this.source
      .report()
      .catch(() => ({ groups: [], nodes: [] }))
      .finally(() => (this.reading = undefined));
    return this.reading;
  }
}
