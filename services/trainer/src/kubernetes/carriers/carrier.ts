import type { RunSpec } from '@luthier/contracts';
import type { KubeObject, Resource, V1Job } from '@luthier/kube';
import type { ClusterProfile } from '../cluster-profile.js';
import type { RenderTarget } from '../render/pod.js';

/**
 * What is read of an attempt's root object, in the words of a Job. Objects of other kinds say by their carrier's
 * `viewOf` what they have to do with them; `kind` tells which it was.
 */
export type Root = Pick<V1Job, 'apiVersion' | 'kind' | 'metadata'> & {
  spec?: Pick<NonNullable<V1Job['spec']>, 'suspend' | 'completions'>;
  status?: Pick<NonNullable<V1Job['status']>, 'startTime' | 'conditions'>;
};

/** An object that can be a root, as the API has it. */
export interface RootObject extends KubeObject {
  spec?: object;
  status?: object;
}

export interface RenderInput {
  spec: RunSpec;
  profile: ClusterProfile;
  target: RenderTarget;
  avoidNodes: readonly string[];
}

/**
 * A kind of object that carries an attempt. One such object is the attempt's root: all pods of the attempt are made out
 * of it, and nothing is retried by whatever makes them. Pure.
 */
export interface Carrier<T extends KubeObject = RootObject> {
  readonly resource: Resource<T>;
  /** The object's `spec`, suspended. */
  render(input: RenderInput): NonNullable<RootObject['spec']>;
  viewOf(object: T): Root;
  /** Name of the Job that makes the pods of the object with this name. */
  jobOf(name: string): string;
  /** Whether its pods are named by a headless Service that comes with it and has its name. */
  readonly bringsService: boolean;
}
