import type { Reflector, V1Node, V1ResourceSlice } from '@luthier/kube';
import type { ViewedNode } from './explain/index.js';
import type { SilentNode } from './observe-attempt.js';

/** Of a large run a few nodes tell as much as all of them. */
const MAX_ASKED = 8;

/**
 * The nodes as runs are judged by them. Every look at a run asks, and there are hundreds of nodes whose heartbeats change
 * them all the time: a view is made anew only when it is asked for after a change that it shows.
 */
export class NodeViews {
  private readonly silentNodes = new Map<string, SilentNode>();
  private readonly byResource = new Map<string, ViewedNode[]>();

  constructor(
    private readonly nodes: Pick<Reflector<V1Node>, 'list' | 'onChange'>,
    private readonly slices: Pick<Reflector<V1ResourceSlice>, 'list' | 'onChange'>,
    /** Asks the API itself. */
    private readonly ask: (name: string) => Promise<V1Node | undefined>,
  ) {
    slices.onChange(() => this.byResource.clear());
    for (const node of nodes.list()) this.noteSilence(nameOf(node), node);
    nodes.onChange((name, now, before) => {
      this.noteSilence(name, now);
      if (!now || !before || shownOf(now) !== shownOf(before)) this.byResource.clear();
    });
  }

  /** Nodes that do not answer. */
  silent(): SilentNode[] {
    return [...this.silentNodes.values()];
  }

  /** All nodes, with what they have of a resource. */
  with(resource: string | undefined): readonly ViewedNode[] {
    const known = this.byResource.get(resource ?? '');
    if (known) return known;
    const views = this.viewsOf(this.nodes.list(), resource);
    this.byResource.set(resource ?? '', views);
    return views;
  }

  /** As `with`, but these nodes as they are now: the watch may be behind the pods that have just failed there. */
  async withFresh(names: readonly string[], resource: string | undefined): Promise<readonly ViewedNode[]> {
    const asked = await Promise.all(names.slice(0, MAX_ASKED).map((name) => this.ask(name).catch(() => undefined)));
    const fresh = this.viewsOf(
      asked.filter((node) => node !== undefined),
      resource,
    );
    return this.with(resource).map((view) => fresh.find(({ name }) => name === view.name) ?? view);
  }

  /** Devices that a driver hands out by claims are not counted by the node: of them nothing is called too few here. */
  private viewsOf(nodes: readonly V1Node[], resource: string | undefined): ViewedNode[] {
    const claimed = new Set(this.slices.list().map(({ spec }) => spec.nodeName));
    return nodes.map((node) => viewOf(node, claimed.has(nameOf(node)) ? undefined : resource));
  }

  private noteSilence(name: string, node: V1Node | undefined): void {
    const ready = node && readyOf(node);
    if (ready?.status !== 'Unknown') this.silentNodes.delete(name);
    else this.silentNodes.set(name, { name, sinceMs: Date.parse(ready.lastTransitionTime ?? '') || 0 });
  }
}

const nameOf = ({ metadata }: V1Node): string => metadata?.name ?? '';
const readyOf = ({ status }: V1Node) => status?.conditions?.find(({ type }) => type === 'Ready');

/** All that views show of a node. */
function shownOf(node: V1Node): string {
  const { status, lastTransitionTime } = readyOf(node) ?? {};
  return JSON.stringify([status, lastTransitionTime, node.status?.allocatable, node.status?.capacity]);
}

function viewOf(node: V1Node, resource: string | undefined): ViewedNode {
  const ready = readyOf(node);
  const devices = resource === undefined ? undefined : Number(node.status?.allocatable?.[resource] ?? 0);
  const broken = resource === undefined ? 0 : Number(node.status?.capacity?.[resource] ?? 0) - (devices ?? 0);
  return {
    name: nameOf(node),
    // Not ready, but it says so itself: what runs there still answers.
    ready: ready?.status !== 'Unknown',
    ...(broken > 0 && { brokenGpus: broken }),
    ...(ready?.lastTransitionTime !== undefined && { since: Date.parse(ready.lastTransitionTime) }),
    ...(devices !== undefined && { gpus: devices }),
  };
}
