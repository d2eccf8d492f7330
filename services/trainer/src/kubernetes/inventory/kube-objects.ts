/**
 * The fields of Kubernetes objects that the inventory reads. The generated types of the API are assignable to these, so
 * caches can be handed over as they are, and tests say only what matters.
 */
interface Named {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

type Quantities = Readonly<Record<string, string>>;

export interface NodeObject extends Named {
  readonly spec?: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  };
  readonly status?: {
    readonly allocatable?: Quantities;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

interface ContainerObject {
  readonly restartPolicy?: string;
  readonly resources?: { readonly requests?: Quantities; readonly limits?: Quantities };
}

export interface PodObject {
  readonly metadata?: Named['metadata'] & {
    readonly uid?: string;
    readonly ownerReferences?: readonly { readonly kind: string }[];
  };
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly ContainerObject[];
    readonly initContainers?: readonly ContainerObject[];
    readonly overhead?: Quantities;
    readonly resources?: { readonly requests?: Quantities; readonly limits?: Quantities };
  };
  readonly status?: { readonly phase?: string };
}

export interface ResourceQuotaObject extends Named {
  readonly spec?: { readonly scopes?: readonly string[]; readonly scopeSelector?: unknown };
  readonly status?: { readonly hard?: Quantities; readonly used?: Quantities };
}

export interface LimitRangeObject extends Named {
  readonly spec?: { readonly limits?: readonly { readonly type: string; readonly max?: Quantities }[] };
}

interface DeviceAttribute {
  readonly string?: string;
  readonly version?: string;
}

/** Devices of a driver that hands them out by claims (DRA). */
export interface ResourceSliceObject extends Named {
  readonly spec?: {
    readonly driver: string;
    readonly nodeName?: string;
    readonly pool: { readonly name: string; readonly generation: number };
    readonly devices?: readonly {
      readonly name: string;
      readonly attributes?: Readonly<Record<string, DeviceAttribute>>;
      readonly capacity?: Readonly<Record<string, { readonly value: string }>>;
    }[];
  };
}

export interface ResourceClaimObject extends Named {
  readonly status?: {
    readonly allocation?: {
      readonly devices?: {
        readonly results?: readonly { readonly driver: string; readonly pool: string; readonly device: string }[];
      };
    };
  };
}

interface Condition {
  readonly type: string;
  readonly status: string;
}

/** Kueue's LocalQueue, v1beta1 and v1beta2. */
export interface LocalQueueObject extends Named {
  readonly spec?: { readonly clusterQueue?: string; readonly stopPolicy?: string };
  readonly status?: {
    readonly pendingWorkloads?: number;
    readonly admittedWorkloads?: number;
    readonly conditions?: readonly Condition[];
  };
}

interface FlavorUsage {
  readonly name: string;
  readonly resources?: readonly { readonly name: string; readonly total?: string | number }[];
}

/** Kueue's ClusterQueue, v1beta1 (`cohort`) and v1beta2 (`cohortName`). */
export interface ClusterQueueObject extends Named {
  readonly spec?: {
    readonly cohort?: string;
    readonly cohortName?: string;
    readonly stopPolicy?: string;
    readonly resourceGroups?: readonly {
      readonly flavors?: readonly {
        readonly name: string;
        readonly resources?: readonly {
          readonly name: string;
          readonly nominalQuota: string | number;
          readonly borrowingLimit?: string | number;
        }[];
      }[];
    }[];
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly flavorsReservation?: readonly FlavorUsage[];
  };
}
