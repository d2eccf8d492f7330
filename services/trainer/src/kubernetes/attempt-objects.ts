import type { V1Job } from '@luthier/kube';
import type { RunSpec } from '@luthier/contracts';
import { CONFIG_MAPS, JOBS, KubeError, SECRETS, SERVICES, defineResource, isKubeError } from '@luthier/kube';
import type { KubeClient } from '@luthier/kube';
import { Hindered, Refused } from '../runs/run-executor.js';
import type { ClusterProfile } from './cluster-profile.js';
import { endingOf, explainApiError } from './explain/index.js';
import { ANNOTATION, attemptOfLabels } from './names.js';
import { renderChildren } from './render/children.js';
import type { PodGroup, RunnerSettings } from './render/children.js';
import { renderJob } from './render/job.js';
import type { History, RenderedJob } from './render/job.js';
import type { RenderTarget } from './render/pod.js';

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

  /** The Job, suspended; one that is there already is taken over when it is this attempt's. */
  async createJob(spec: RunSpec, profile: ClusterProfile, history: History): Promise<V1Job> {
    const job = renderJob(spec, profile, this.target, history);
    return this.telling(job.metadata.name, async () => {
      try {
        return await this.client.create(JOBS, job);
      } catch (cause) {
        if (!isKubeError(cause, 'already-exists')) throw cause;
        return this.adopt(spec, job);
      }
    });
  }

  /** What the pods need, then the word that they may begin. A Job that waits in a queue elsewhere is begun there. */
  async release(spec: RunSpec, profile: ClusterProfile, jobUid: string, runner: RunnerSettings): Promise<V1Job> {
    const { configMap, secret, service, podGroup } = renderChildren(spec, profile, this.target, jobUid, runner);
    const name = configMap.metadata?.name ?? '';
    return this.telling(name, async () => {
      await Promise.all([
        this.client.apply(CONFIG_MAPS, configMap),
        this.client.apply(SECRETS, secret),
        this.client.apply(SERVICES, service),
        ...(podGroup ? [this.client.apply(resourceOf(podGroup), podGroup)] : []),
      ]);
      return this.client.mergePatch(JOBS, name, this.target.namespace, {
        metadata: { uid: jobUid, annotations: { [ANNOTATION.prepared]: 'true' } },
        ...(spec.queue === 'internal' && { spec: { suspend: false } }),
      });
    });
  }

  async annotate(jobName: string, jobUid: string, annotations: Record<string, string>): Promise<V1Job> {
    const patch = { metadata: { uid: jobUid, annotations } };
    return this.telling(jobName, () => this.client.mergePatch(JOBS, jobName, this.target.namespace, patch));
  }

  /** Exactly this object, its pods before it. One that is gone, or was made anew by somebody else, is done. */
  async deleteJob(jobName: string, uid: string): Promise<void> {
    const { namespace } = this.target;
    await this.telling(jobName, () =>
      this.client.delete(JOBS, jobName, { namespace, uid, propagation: 'Foreground' }).catch((cause: unknown) => {
        if (!isKubeError(cause, 'conflict')) throw cause;
      }),
    );
  }

  async getJob(name: string): Promise<V1Job | undefined> {
    return this.telling(name, () => this.client.get(JOBS, name, this.target.namespace));
  }

  private async adopt(spec: RunSpec, wanted: RenderedJob): Promise<V1Job> {
    const { name } = wanted.metadata;
    const found = await this.client.get(JOBS, name, this.target.namespace);
    if (!found) return this.client.create(JOBS, wanted); // gone in between
    const owner = attemptOfLabels(found.metadata?.labels);
    const sameHash =
      found.metadata?.annotations?.[ANNOTATION.specHash] === wanted.metadata.annotations[ANNOTATION.specHash];
    if (owner?.runId === spec.runId && owner.attempt === spec.attempt && sameHash) return found;
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
