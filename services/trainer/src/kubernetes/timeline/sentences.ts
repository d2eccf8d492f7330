import type { ClusterHappening } from '@luthier/contracts';

type Sentence = (node: string | undefined) => string;
const always =
  (text: string): Sentence =>
  () =>
    text;
const onNode =
  (before: string, after = ''): Sentence =>
  (node) =>
    `${before}${node === undefined ? '' : ` on node "${node}"`}${after}.`;

/** One sentence for each happening; the dashboard has the same ones in the reader's language. */
export const SENTENCES: Readonly<Record<ClusterHappening, Sentence>> = {
  'Pod.Scheduled': (node) =>
    node === undefined ? 'A pod of the run has got a node.' : `A pod of the run has got node "${node}".`,
  'Pod.FailedScheduling': always('No node takes a pod of the run at present.'),
  'Pod.Preempted': always('A pod of the run makes way for one of higher priority.'),
  'Pod.TriggeredScaleUp': always('The cluster adds a node for the run.'),
  'Pod.NotTriggerScaleUp': always('Adding a node would not give the run a place.'),
  'Pod.Pulling': onNode('The image is being fetched'),
  'Pod.Pulled': onNode('The image is there'),
  'Pod.Created': onNode('The container is made'),
  'Pod.Started': onNode('The container has started'),
  'Pod.Killing': onNode('The container is being stopped'),
  'Pod.Failed': onNode('A container cannot be started'),
  'Pod.BackOff': onNode('Starting a container fails again and again', '; the node waits longer each time'),
  'Pod.FailedMount': onNode('A volume cannot be mounted'),
  'Pod.FailedAttachVolume': always('A volume cannot be attached to the node.'),
  'Pod.SuccessfulAttachVolume': always('A volume is attached to the node.'),
  'Pod.FailedCreatePodSandBox': onNode('A pod of the run cannot be set up'),
  'Pod.Evicted': onNode('A pod of the run has been evicted'),
  'Pod.NodeNotReady': always('The node of a pod of the run is not ready.'),
  'Job.SuccessfulCreate': always('A pod has been made for the run.'),
  'Job.SuccessfulDelete': always('A pod of the run has been removed.'),
  'Job.FailedCreate': always('The cluster refuses to make a pod for the run.'),
  'Job.Suspended': always('The run is held back.'),
  'Job.Resumed': always('The run is let go.'),
  'Job.Completed': always('All pods of the run are done.'),
  'Job.BackoffLimitExceeded': always('A pod of the run has failed, so the attempt is over.'),
  'Job.CreatedWorkload': always('The run stands in the queue.'),
  'Job.Started': always('The queue lets the run begin.'),
  'Job.Stopped': always('The queue holds the run back.'),
  'Job.FinishedWorkload': always('The queue has seen the end of the run.'),
  'Workload.Pending': always('The queue has no place for the run yet.'),
  'Workload.QuotaReserved': always('The queue has reserved a place for the run.'),
  'Workload.Admitted': always('The queue has admitted the run.'),
  'Workload.Preempted': always('The queue takes the place away for another run.'),
  'Workload.Evicted': always('The queue has taken the place of the run away.'),
};
