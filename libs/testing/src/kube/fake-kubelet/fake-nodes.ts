import type { KubeApi } from '../kube-api.js';
import { ifFound } from '../kube-api.js';
import { nodeObject, nodeStatus, resourcesOf } from './fake-node.js';
import type { FakeNode } from './fake-node.js';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';

interface Machine {
  node: FakeNode;
  allocatable: Record<string, string>;
  online: boolean;
}

/** Registers nodes and keeps them alive. */
export class FakeNodes {
  private readonly machines = new Map<string, Machine>();

  constructor(
    private readonly api: KubeApi,
    private readonly logPort: number,
  ) {}

  async add(node: FakeNode): Promise<void> {
    const machine = { node, allocatable: resourcesOf(node), online: true };
    this.machines.set(node.name, machine);
    await this.api.apply(nodeObject(node));
    await this.beatOne(machine);
  }

  has(name: string | undefined): boolean {
    return name !== undefined && this.machines.has(name);
  }

  isOnline(name: string | undefined): boolean {
    return this.machines.get(name ?? '')?.online === true;
  }

  allocatable(name: string | undefined): Readonly<Record<string, string>> {
    return this.machine(name ?? '').allocatable;
  }

  setOnline(name: string, online: boolean): void {
    this.machine(name).online = online;
  }

  /** @param amount undefined: the resource is not there any more. */
  async setAllocatable(name: string, resource: string, amount: string): Promise<void> {
    this.machine(name).allocatable[resource] = amount;
    await this.beat();
  }

  /** Node status and lease of all that are not cut off. */
  async beat(): Promise<void> {
    const living = [...this.machines.values()].filter(({ online }) => online);
    await Promise.all(living.map((machine) => this.beatOne(machine)));
  }

  async remove(name: string): Promise<void> {
    this.machines.delete(name);
    await ifFound(this.api.delete(`/api/v1/nodes/${name}`));
    await ifFound(this.api.delete(`${LEASES}/${name}`));
  }

  async removeAll(): Promise<void> {
    for (const name of [...this.machines.keys()]) await this.remove(name);
  }

  private async beatOne({ node, allocatable }: Machine): Promise<void> {
    await this.api.call('PATCH', `/api/v1/nodes/${node.name}/status`, {
      body: { status: nodeStatus(node, allocatable, this.logPort) },
      contentType: 'application/strategic-merge-patch+json',
    });
    await this.api.apply({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: node.name, namespace: 'kube-node-lease' },
      spec: {
        holderIdentity: node.name,
        leaseDurationSeconds: 40,
        renewTime: new Date().toISOString().replace('Z', '000Z'),
      },
    });
  }

  private machine(name: string): Machine {
    const found = this.machines.get(name);
    if (!found) throw new Error(`there is no fake node "${name}"; there are ${[...this.machines.keys()].join(', ')}`);
    return found;
  }
}
