import type { RunSpec } from '@luthier/contracts';
import { CONFIG_MAPS, KubeError, SECRETS, SERVICES, defineResource, isKubeError } from '@luthier/kube';
import type { KubeClient } from '@luthier/kube';
import { Hindered, Refused } from '../runs/run-executor.js';
import type { Carrier, Root } from './carriers/carrier.js';
import { carrierOf } from './carriers/carriers.js';
import { JOB } from './carriers/job.js';
import type { ClusterProfile } from './cluster-profile.js';
import { endingOf, explainApiError } from './explain/index.js';
import { ANNOTATION, attemptOfLabels } from './names.js';
import { renderChildren } from './render/children.js';
import type { PodGroup, RunnerSettings } from './render/children.js';
import type { RenderTarget } from './render/pod.js';
import { renderRoot } from './render/root.js';
import type { History, RenderedRoot } from './render/root.js';

/**
 * The calls that bring an attempt's objects about. Each may be made again after a crash at any point, and throws Refused
 * when the cluster will never do it, Hindered when it does not now, with why.
 */
export class AttemptObjects {
  private awaySinceMs: number | undefined;

  constructor(
    private readonly client: KubeClient,
    private readonly target: RenderTarget,
    private readonly now: () => number = Date.now,
  ) {}

  /** The root object, suspended; one that is there already is taken over when it is this attempt's. */
  async create(spec: RunSpec, profile: ClusterProfile, history: History): Promise<Root> {
    const carrier = JOB as Carrier;
    const wanted = renderRoot(carrier, spec, profile, this.target, history);
    return this.telling(wanted.metadata.name, async () => {
      try {
        return carrier.viewOf(await this.client.create(carrier.resource, wanted));
      } catch (cause) {
        if (!isKubeError(cause, 'already-exists')) throw cause;
        return this.adopt(carrier, spec, wanted);
      }
    });
  }

  /** What the pods need, then the word that they may begin. What waits in a queue elsewhere is begun there. */
  async release(spec: RunSpec, profile: ClusterProfile, root: Root, runner: RunnerSettings): Promise<Root> {
    const { name, uid } = idOf(root);
    const children = renderChildren(carrierOf(root), spec, profile, this.target, uid, runner);
    const { configMap, secret, service, podGroup } = children;
    return this.telling(name, async () => {
      await Promise.all([
        this.client.apply(CONFIG_MAPS, configMap),
        this.client.apply(SECRETS, secret),
        ...(service ? [this.client.apply(SERVICES, service)] : []),
        ...(podGroup ? [this.applyPodGroup(podGroup)] : []),
      ]);
      return this.patch(root, {
        metadata: { uid, annotations: { [ANNOTATION.prepared]: 'true' } },
        ...(spec.queue === 'internal' && { spec: { suspend: false } }),
      });
    });
  }

  /** Its kind is not the cluster's own: who names it in a profile may not have installed it. */
  private async applyPodGroup(group: PodGroup): Promise<void> {
    try {
      await this.client.apply(resourceOf(group), group);
    } catch (cause) {
      if (!isKubeError(cause) || !cause.notServed) throw cause;
      const name = `The kind PodGroup (${group.apiVersion})`;
      throw new Hindered(endingOf('config-missing', { name }, cause.message), { cause });
    }
  }

  async annotate(root: Root, annotations: Record<string, string>): Promise<Root> {
    const { name, uid } = idOf(root);
    return this.telling(name, () => this.patch(root, { metadata: { uid, annotations } }));
  }

  /** Exactly this object, its pods before it. One that is gone, or was made anew by somebody else, is done. */
  async delete(root: Root): Promise<void> {
    const { name, uid } = idOf(root);
    const { resource } = carrierOf(root);
    const { namespace } = this.target;
    await this.telling(name, () =>
      this.client.delete(resource, name, { namespace, uid, propagation: 'Foreground' }).catch((cause: unknown) => {
        if (!isKubeError(cause, 'conflict')) throw cause;
      }),
    );
  }

  async get(name: string): Promise<Root | undefined> {
    const carrier = JOB as Carrier;
    const found = await this.telling(name, () => this.client.get(carrier.resource, name, this.target.namespace));
    return found && carrier.viewOf(found);
  }

  private async patch(root: Root, patch: object): Promise<Root> {
    const carrier = carrierOf(root);
    return carrier.viewOf(
      await this.client.mergePatch(carrier.resource, idOf(root).name, this.target.namespace, patch),
    );
  }

  private async adopt(carrier: Carrier, spec: RunSpec, wanted: RenderedRoot): Promise<Root> {
    const { name } = wanted.metadata;
    const { resource } = carrier;
    const found = await this.client.get(resource, name, this.target.namespace);
    if (!found) return carrier.viewOf(await this.client.create(resource, wanted)); // gone in between
    const owner = attemptOfLabels(found.metadata?.labels);
    const sameHash =
      found.metadata?.annotations?.[ANNOTATION.specHash] === wanted.metadata.annotations[ANNOTATION.specHash];
    if (owner?.runId === spec.runId && owner.attempt === spec.attempt && sameHash) return carrier.viewOf(found);
    throw new Refused(endingOf('name-taken', { name }));
  }

  private async telling<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      const answer = await work();
      this.awaySinceMs = undefined;
      return answer;
    } catch (cause) {
      if (!(cause instanceof KubeError)) throw cause;
      if (isKubeError(cause, 'unreachable', 'timeout')) this.awaySinceMs ??= this.now();
      const why = explainApiError(cause, { name, namespace: this.target.namespace, sinceMs: this.awaySinceMs });
      if (!why) throw cause;
      throw why.fatal ? new Refused(why) : new Hindered(why, { cause });
    }
  }
}

const resourceOf = ({ apiVersion }: PodGroup) =>
  defineResource<PodGroup>({ apiVersion, kind: 'PodGroup', plural: 'podgroups', namespaced: true });

const idOf = ({ metadata }: Root): { name: string; uid: string } => ({
  name: metadata?.name ?? '',
  uid: metadata?.uid ?? '',
});
