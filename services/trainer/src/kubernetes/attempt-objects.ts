import type { V1Job } from '@luthier/kube';
import type { RunSpec } from '@luthier/contracts';
import { CONFIG_MAPS, JOBS, KubeError, SECRETS, SERVICES, defineResource } from '@luthier/kube';
import type { KubeClient } from '@luthier/kube';
import { Refused } from '../runs/run-executor.js';
import type { ClusterProfile } from './cluster-profile.js';
import { endingOf, explainApiError } from './explain/index.js';
import { ANNOTATION, attemptOfLabels } from './names.js';
import { renderChildren } from './render/children.js';
import type { PodGroup, RunnerSettings } from './render/children.js';
import { renderJob } from './render/job.js';
import type { History, RenderedJob } from './render/job.js';
import type { RenderTarget } from './render/pod.js';

/** The calls that bring an attempt's objects about. Each may be made again after a crash at any point. */
export class AttemptObjects {
  constructor(
    private readonly client: KubeClient,
    private readonly target: RenderTarget,
  ) {}

  /**
   * The Job, suspended; one that is there already is taken over when it is this attempt's.
   * @throws Refused when the name is another object's, or the cluster does not accept the Job.
   */
  async createJob(spec: RunSpec, profile: ClusterProfile, history: History): Promise<V1Job> {
    const job = renderJob(spec, profile, this.target, history);
    try {
      return await this.client.create(JOBS, job);
    } catch (cause) {
      if (!(cause instanceof KubeError)) throw cause;
      if (cause.kind === 'already-exists') return this.adopt(spec, job);
      const why = explainApiError(cause, { name: job.metadata.name, namespace: this.target.namespace });
      throw why?.fatal === true ? new Refused(why) : cause;
    }
  }

  /** What the pods need, then the word that they may begin. A Job that waits in a queue elsewhere is begun there. */
  async release(spec: RunSpec, profile: ClusterProfile, jobUid: string, runner: RunnerSettings): Promise<V1Job> {
    const { configMap, secret, service, podGroup } = renderChildren(spec, profile, this.target, jobUid, runner);
    await Promise.all([
      this.client.apply(CONFIG_MAPS, configMap),
      this.client.apply(SECRETS, secret),
      this.client.apply(SERVICES, service),
      ...(podGroup ? [this.client.apply(resourceOf(podGroup), podGroup)] : []),
    ]);
    const { name } = configMap.metadata ?? {};
    return this.client.mergePatch(JOBS, name ?? '', this.target.namespace, {
      metadata: { uid: jobUid, annotations: { [ANNOTATION.prepared]: 'true' } },
      ...(spec.queue === 'internal' && { spec: { suspend: false } }),
    });
  }

  async annotate(jobName: string, jobUid: string, annotations: Record<string, string>): Promise<V1Job> {
    return this.client.mergePatch(JOBS, jobName, this.target.namespace, { metadata: { uid: jobUid, annotations } });
  }

  /** Exactly this object, its pods before it. One that is gone, or was made anew by somebody else, is done. */
  async deleteJob(jobName: string, uid: string): Promise<void> {
    try {
      await this.client.delete(JOBS, jobName, { namespace: this.target.namespace, uid, propagation: 'Foreground' });
    } catch (cause) {
      if (!(cause instanceof KubeError) || cause.kind !== 'conflict') throw cause;
    }
  }

  async getJob(name: string): Promise<V1Job | undefined> {
    return this.client.get(JOBS, name, this.target.namespace);
  }

  private async adopt(spec: RunSpec, wanted: RenderedJob): Promise<V1Job> {
    const { name } = wanted.metadata;
    const found = await this.getJob(name);
    if (!found) return this.client.create(JOBS, wanted); // gone in between
    const owner = attemptOfLabels(found.metadata?.labels);
    const sameHash =
      found.metadata?.annotations?.[ANNOTATION.specHash] === wanted.metadata.annotations[ANNOTATION.specHash];
    if (owner?.runId === spec.runId && owner.attempt === spec.attempt && sameHash) return found;
    throw new Refused(endingOf('name-taken', { name }));
  }
}

const resourceOf = ({ apiVersion }: PodGroup) =>
  defineResource<PodGroup>({ apiVersion, kind: 'PodGroup', plural: 'podgroups', namespaced: true });
