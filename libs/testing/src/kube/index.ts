/**
 * Kubernetes for tests: a real control plane, and fake kubelets that play pods or run their commands.
 *
 * ```ts
 * const withCluster = (await canRunKubernetes()) ? describe : describe.skip; // builds the programs once, 7 minutes
 * const cluster = await startControlPlane(); // in beforeAll; 6 s, then shared by the test files of this process
 * const namespace = await cluster.createNamespace(); // a namespace a file; cluster.api calls as administrator
 * const kubelet = await cluster.startKubelet({
 *   nodes: [{ name: 'gpu-1' }, { name: 'cpu-1', gpus: 0 }], // eight H100 unless told otherwise; amd, mig, sharing
 *   fateOf: (pod) => ({ type: 'process' }), // or run, end (exitCode, reason, message, ...evicted()), wait (reason)
 *   hosts: { 'trainer.luthier.svc': '127.0.0.1' }, // names from outside; images, hostPaths, claims: more tables
 * });
 * await cluster.createVolumeClaim({ namespace, name: 'artifacts', folder }); // a claim that is this folder
 * await cluster.createVolume({ namespace, name: 'data-db-0', folder }); // the folder of a claim that others will make
 * const { port } = await kubelet.openService(namespace, 'gateway'); // into a Service, to its ready pods in turn
 * const token = await cluster.serviceAccountToken(namespace, 'trainer'); // real RBAC; or tokenFor(user, groups)
 * const role = await bindRole(cluster, { namespace, account, file }); // exactly a role file's rights; role.forbid(...)
 * await cluster.apply(yamlOrObject); await cluster.stopApiServer(); await cluster.startApiServer();
 * await cluster.forgetHistory(); // whoever watches gets 410
 * kubelet.silence('gpu-1'); await kubelet.restore('gpu-1'); await kubelet.end(pod, evicted());
 * await cluster.stop(); // in afterAll: namespaces and kubelets go, servers stay for the next file
 * ```
 *
 * What the fake kubelet changes about a pod: docs/reference/fake-kubelet.md.
 */
export { bindRole } from './bind-role.js';
export type { BoundRole } from './bind-role.js';
export { ensureChartResources, ensureHelm, ensureImageReaders, ensureKueue, ensurePrometheus } from './binaries.js';
export { startControlPlane } from './control-plane.js';
export type { ControlPlane, ControlPlaneOptions } from './control-plane.js';
export { applyDefinitions } from './custom-resources.js';
export { FakeKubelet } from './fake-kubelet/fake-kubelet.js';
export type { FakeKubeletOptions } from './fake-kubelet/fake-kubelet.js';
export type { FakeNode } from './fake-kubelet/fake-node.js';
export { disruption, evicted } from './fake-kubelet/fate.js';
export type { Fate, ScriptedEnd } from './fake-kubelet/fate.js';
export { LISTEN_ON_POD } from './fake-kubelet/image-table.js';
export type { ImageTable, LocalImage } from './fake-kubelet/image-table.js';
export type { ServiceDoor } from './fake-kubelet/service-door.js';
export { ADDED_VARIABLES, NOT_DONE, SUBSTITUTIONS } from './fake-kubelet/substitutions.js';
export { ifFound } from './kube-api.js';
export type { KubeObject, Pod } from './objects.js';
export { FakeApiServer } from './fake-api/fake-api-server.js';
export type { FakeApiOptions } from './fake-api/fake-api-server.js';
export type { Fault, FaultRule, SeenRequest } from './fake-api/faults.js';
export type { FakeKind, StoredObject } from './fake-api/store.js';
export {
  canRunCoscheduling,
  canReadImages,
  canRunHelm,
  canRunJobSet,
  canRunKubeflowTrainer,
  canRunKubernetes,
  canRunKueue,
  canRunPodProcesses,
  canRunPrometheus,
} from './requirement.js';
export { COSCHEDULER } from './coscheduling.js';
export type { Controller } from './controllers.js';
export type { Kueue } from './kueue.js';
