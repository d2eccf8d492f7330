import type { RunSpec } from '@luthier/contracts';
import { CONFIG_MAPS, KubeError, PODS, SECRETS, SERVICES, defineResource, isKubeError } from '@luthier/kube';
import type { KubeClient, V1Pod } from '@luthier/kube';
import { Hindered, Refused } from '../runs/run-executor.js';
import type { AttemptKey } from '../runs/run-executor.js';
import type { Carrier, Root } from './carriers/carrier.js';
import { attemptOf, carrierOf, chooseCarrier, isPart } from './carriers/carriers.js';
import type { ClusterProfile } from './cluster-profile.js';
import { endingOf, explainApiError } from './explain/index.js';
import { ANNOTATION, LABEL } from './names.js';
import { COSCHEDULING_API, renderChildren } from './render/children.js';
import type { PodGroup, RunnerSettings } from './render/children.js';
import type { RenderTarget } from './render/pod.js';
import { renderRoot } from './render/root.js';
import type { History } from './render/root.js';

/**
 * The calls that bring an attempt's objects about. Each may be made again after a crash at any point, and throws Refused
 * when the cluster will never do it, Hindered when it does not now, with why.
 */
export class AttemptObjects {
  private awaySinceMs: number | undefined;

  constructor(
    private readonly client: KubeClient,
    private readonly target: RenderTarget,
    /** The kinds of root objects that the cluster may have. */
    private readonly served: () => readonly Carrier[],
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * The root object, suspended; one that is there already is taken over when it is this attempt's. What is installed may
   * have changed since that one was made, so it is looked for in every kind: there must never be two.
   */
  async create(spec: RunSpec, profile: ClusterProfile, history: History): Promise<Root> {
    const served = this.served();
    const carrier = chooseCarrier(profile, spec.resources.nodes, served);
    const wanted = renderRoot(carrier, spec, profile, this.target, history);
    const { name } = wanted.metadata;
    return this.telling(name, async () => {
      const others = served.filter((other) => other !== carrier);
      const found = (await Promise.all(others.map((other) => this.readIfAllowed(other, name)))).find(isRoot);
      if (found) return this.adopt(found, spec, profile);
      try {
        return carrier.viewOf(await ofInstalled(carrier.resource, this.client.create(carrier.resource, wanted)));
      } catch (cause) {
        if (!isKubeError(cause, 'already-exists')) throw cause;
        const there = await this.read(carrier, name);
        if (there) return this.adopt(there, spec, profile);
        return carrier.viewOf(await this.client.create(carrier.resource, wanted)); // gone in between
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
        ...(podGroup ? [ofInstalled(podGroup, this.client.apply(resourceOf(podGroup), podGroup))] : []),
      ]);
      return this.patch(root, {
        metadata: { uid, annotations: { [ANNOTATION.prepared]: 'true' } },
        ...(spec.queue === 'internal' && { spec: { suspend: false } }),
      });
    });
  }

  async annotate(root: Root, annotations: Record<string, string>): Promise<Root> {
    const { name, uid } = idOf(root);
    return this.telling(name, () => this.patch(root, { metadata: { uid, annotations } }));
  }

  /** Changes its PodGroup, which says nothing new: whoever places its pods looks at them again. */
  async wakeGang(root: Root): Promise<void> {
    const { name } = idOf(root);
    const annotations = { [ANNOTATION.wokenAt]: new Date(this.now()).toISOString() };
    await this.client
      .mergePatch(COSCHEDULING_GROUPS, name, this.target.namespace, { metadata: { annotations } })
      .catch((cause: unknown) => {
        if (!isKubeError(cause)) throw cause; // else: the next time
      });
  }

  /** The pods of an attempt as the API has them now. */
  async pods({ runId, attempt }: AttemptKey): Promise<V1Pod[]> {
    const labelSelector = `${LABEL.runId}=${runId},${LABEL.attempt}=${attempt}`;
    return (await this.client.listAll(PODS, { namespace: this.target.namespace, labelSelector })).items;
  }

  /** Exactly this object, its pods before it. One that is gone, or was made anew by somebody else, is done. */
  async delete(root: Root): Promise<void> {
    const { name, uid } = idOf(root);
    const { resource } = carrierOf(root);
    const { namespace } = this.target;
    await this.telling(name, () =>
      this.client.delete(resource, name, { namespace, uid, propagation: 'Foreground' }).catch((cause: unknown) => {
        // Also where its kind has been removed, with all objects.
        if (!isKubeError(cause, 'conflict', 'not-found')) throw cause;
      }),
    );
  }

  /** Exactly this object, as the API has it now. @param kind of the object; undefined: not known */
  async get(name: string, uid: string, kind?: string): Promise<Root | undefined> {
    const carriers = kind === undefined ? this.served() : [carrierOf({ kind })];
    const found = await this.telling(name, () => Promise.all(carriers.map((carrier) => this.read(carrier, name))));
    return found.find((root) => root?.metadata?.uid === uid);
  }

  private async read(carrier: Carrier, name: string): Promise<Root | undefined> {
    const found = await this.client.get(carrier.resource, name, this.target.namespace).catch((cause: unknown) => {
      if (isKubeError(cause, 'not-found')) return undefined; // the kind is not served any more, nor is any object of it
      throw cause;
    });
    return found && carrier.viewOf(found);
  }

  /** What may not even be read was not made by us. */
  private readIfAllowed(carrier: Carrier, name: string): Promise<Root | undefined> {
    return this.read(carrier, name).catch((cause: unknown) => {
      if (isKubeError(cause, 'forbidden')) return undefined;
      throw cause;
    });
  }

  private async patch(root: Root, patch: object): Promise<Root> {
    const carrier = carrierOf(root);
    return carrier.viewOf(
      await this.client.mergePatch(carrier.resource, idOf(root).name, this.target.namespace, patch),
    );
  }

  /** @throws Refused when it is not what this attempt would be in its kind. */
  private adopt(found: Root, spec: RunSpec, profile: ClusterProfile): Root {
    const { name = '', annotations } = found.metadata ?? {};
    const owner = attemptOf(found);
    if (owner?.runId === spec.runId && owner.attempt === spec.attempt) {
      const wanted = renderRoot(carrierOf(found), spec, profile, this.target);
      if (annotations?.[ANNOTATION.specHash] === wanted.metadata.annotations[ANNOTATION.specHash]) return found;
    }
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

const resourceOf = ({ apiVersion }: Pick<PodGroup, 'apiVersion'>) =>
  defineResource<PodGroup>({ apiVersion, kind: 'PodGroup', plural: 'podgroups', namespaced: true });
const COSCHEDULING_GROUPS = resourceOf({ apiVersion: COSCHEDULING_API });

/** What the API says to a new object of a kind whose definition is on its way out; which of the two depends on its age. */
const isBeingRemoved = ({ status, message }: KubeError): boolean =>
  status === 405 || (status === 403 && message.includes('while custom resource definition is terminating'));

/**
 * The answer to a write of a kind that is not the cluster's own: who names it in a profile may not have installed it.
 * @throws Hindered where it is not installed (any more)
 */
const ofInstalled = <T>({ apiVersion, kind }: { apiVersion: string; kind: string }, answer: Promise<T>): Promise<T> =>
  answer.catch((cause: unknown) => {
    if (!isKubeError(cause) || !(cause.notServed || isBeingRemoved(cause))) throw cause;
    throw new Hindered(endingOf('config-missing', { name: `The kind ${kind} (${apiVersion})` }, cause.message), {
      cause,
    });
  });

/** Something of this name that is the root of nothing is part of another object: that one is found too. */
const isRoot = (found: Root | undefined): found is Root => found !== undefined && !isPart(found);

const idOf = ({ metadata }: Root): { name: string; uid: string } => ({
  name: metadata?.name ?? '',
  uid: metadata?.uid ?? '',
});
