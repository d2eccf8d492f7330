import type { KubeApi } from '../kube-api.js';
import { ifFound } from '../kube-api.js';
import { nodeObject, nodeStatus, resourcesOf } from './fake-node.js';
import type { FakeNode } from './fake-node.js';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';

interface Machine {
  node: FakeNode;
  allocatable: Record<string, string>;
  online: boolean;
  /** Ends when all that it was to say by now has been said. */
  said: Promise<void>;
}

/** Registers nodes and keeps them alive. */
export class FakeNodes {
  private readonly machines = new Map<string, Machine>();

  constructor(
    private readonly api: KubeApi,
    private readonly logPort: number,
  ) {}

  async add(node: FakeNode): Promise<void> {
    const machine = { node, allocatable: resourcesOf(node), online: true, said: Promise.resolve() };
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
    const machine = this.machine(name);
    machine.allocatable[resource] = amount;
    await this.beatOne(machine);
  }

  /** Node status and lease of all that are not cut off. */
  async beat(): Promise<void> {
    await Promise.all([...this.machines.values()].map((machine) => this.beatOne(machine)));
  }

  async remove(name: string): Promise<void> {
    const machine = this.machines.get(name);
    this.machines.delete(name);
    await machine?.said; // else its lease would come back
    await ifFound(this.api.delete(`/api/v1/nodes/${name}`));
    await ifFound(this.api.delete(`${LEASES}/${name}`));
  }

  async removeAll(): Promise<void> {
    for (const name of [...this.machines.keys()]) await this.remove(name);
  }

  /** After what it is just saying, so that an older status never comes behind a newer one. */
  private beatOne(machine: Machine): Promise<void> {
    const beat = machine.said.then(() => this.say(machine));
    machine.said = beat.catch(() => undefined); // told to who asked for it
    return beat;
  }

  private async say(machine: Machine): Promise<void> {
    const isThere = (): boolean => this.machines.get(machine.node.name) === machine;
    if (!machine.online || !isThere()) return;
    try {
      await this.write(machine);
    } catch (cause) {
      if (isThere()) throw cause; // else it was removed meanwhile, and nobody misses its word
    }
  }

  private async write({ node, allocatable }: Machine): Promise<void> {
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
