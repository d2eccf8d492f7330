import type * as client from '@kubernetes/client-node';

/**
 * An object as it stands in JSON. The types of client-node describe objects after its own decoding, where times are
 * `Date`; this library hands out what the API said, without copying it, so times are RFC 3339 strings here.
 */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T]: Wire<T[Key]> }
      : T;

export type ObjectMeta = Wire<client.V1ObjectMeta>;

/** What every object has; the rest belongs to its kind. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

export type V1ConfigMap = Wire<client.V1ConfigMap>;
export type V1Container = Wire<client.V1Container>;
export type V1ContainerStatus = Wire<client.V1ContainerStatus>;
export type V1Event = Wire<client.CoreV1Event>;
export type V1Job = Wire<client.V1Job>;
export type V1JobCondition = Wire<client.V1JobCondition>;
export type V1Lease = Wire<client.V1Lease>;
export type V1LimitRange = Wire<client.V1LimitRange>;
export type V1Namespace = Wire<client.V1Namespace>;
export type V1Node = Wire<client.V1Node>;
export type V1PersistentVolumeClaim = Wire<client.V1PersistentVolumeClaim>;
export type V1Pod = Wire<client.V1Pod>;
export type V1PodCondition = Wire<client.V1PodCondition>;
export type V1PodSpec = Wire<client.V1PodSpec>;
export type V1PodTemplateSpec = Wire<client.V1PodTemplateSpec>;
export type V1ResourceQuota = Wire<client.V1ResourceQuota>;
export type V1ResourceSlice = Wire<client.V1ResourceSlice>;
export type V1RuntimeClass = Wire<client.V1RuntimeClass>;
export type V1Secret = Wire<client.V1Secret>;
export type V1Service = Wire<client.V1Service>;
export type V1ServiceAccount = Wire<client.V1ServiceAccount>;
