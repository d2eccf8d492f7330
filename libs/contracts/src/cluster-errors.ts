import { row } from './error-row.js';
import type { ErrorRow } from './error-row.js';

/** What a cluster does to runs; part of the one table in errors.ts. */
export const CLUSTER_ERRORS = {
  'cluster.no-capacity': row(
    503,
    'server_error',
    'The cluster had no room for the run in time',
    'Wait for other runs to end, ask for fewer or smaller devices, or have an administrator add nodes.',
    true,
  ),
  'cluster.too-small': row(
    500,
    'server_error',
    'The cluster can never hold this run',
    'Ask for no more than the largest node or queue has: fewer devices on a node, or more nodes with fewer each.',
  ),
  'cluster.quota-exceeded': row(
    503,
    'server_error',
    'The quota of the cluster does not allow this run',
    'Wait until other runs have ended, ask for less, or have an administrator raise the quota.',
  ),
  'cluster.refused': row(
    500,
    'server_error',
    'The cluster refused the run',
    "Show the cluster's own words in the details to an administrator: a rule of the cluster must change, or the training profile.",
  ),
  'cluster.name-taken': row(
    500,
    'server_error',
    "Another object of the cluster has the run's name",
    'Have an administrator remove the object named in the message, then start the job again.',
  ),
  'cluster.namespace-terminating': row(
    503,
    'server_error',
    'The namespace for training is being deleted',
    "Have an administrator create it again, or choose another namespace in the trainer's settings.",
  ),
  'cluster.image-unavailable': row(
    500,
    'server_error',
    'The training image cannot be fetched',
    "Have an administrator correct the image's name or its pull secret, or open the way to the image registry.",
  ),
  'cluster.config-missing': row(
    500,
    'server_error',
    'Something that the run needs is missing in the cluster',
    'Have an administrator create the secret, the configuration or the volume named in the message.',
  ),
  'cluster.queue-rejected': row(
    500,
    'server_error',
    'The queue does not take this run',
    'Choose another queue, or have an administrator look at the queue named in the message.',
  ),
  'cluster.preempted': row(
    500,
    'server_error',
    'A more urgent run took the place',
    'The run goes on from its last checkpoint as soon as there is room.',
    true,
  ),
  'cluster.evicted': row(
    500,
    'server_error',
    'The run was moved away from its node',
    'Nothing to do: the run goes on from its last checkpoint on another node.',
    true,
  ),
  'cluster.node-pressure': row(
    500,
    'server_error',
    'The node ran out of disk or memory',
    'It is tried once more; if it happens again, ask for more scratch space.',
    true,
  ),
  'cluster.node-lost': row(
    500,
    'server_error',
    'The node of the run stopped answering',
    'The run goes on from its last checkpoint on another node; have an administrator look at the node named in the message.',
    true,
  ),
  'cluster.node-refused': row(
    500,
    'server_error',
    'The node did not accept the run',
    'The run is tried on another node; have an administrator look at the devices of the node named in the message.',
    true,
  ),
  'cluster.gpu-fault': row(
    500,
    'server_error',
    'A GPU failed',
    'The run goes on from its last checkpoint on another node; have an administrator look at the node named in the message.',
    true,
  ),
  'cluster.unreachable': row(
    503,
    'server_error',
    'The cluster cannot be reached',
    "Running trainings are not affected; an administrator should look at the cluster's API server and at the network.",
    true,
  ),
  'cluster.forbidden': row(
    500,
    'server_error',
    'The trainer may not do this in the cluster',
    "Have an administrator give the trainer's service account the right named in the message.",
  ),
} as const satisfies Record<string, ErrorRow>;
