/**
 * All that the fake kubelet changes about a pod of which it runs the commands. Environment, command and arguments reach
 * the process as the pod renders them; `docs/reference/fake-kubelet.md` shows this table.
 */
export const SUBSTITUTIONS: readonly { what: string; inACluster: string; here: string }[] = [
  {
    what: 'image',
    inACluster: 'the files of the image; its entrypoint where the pod names no command',
    here: 'the files of this machine; `images` says what stands for an entrypoint, arguments, variables, working folder, stop signal and folders; where a volume would hide the project that the tests are of, the project stays to be seen',
  },
  {
    what: 'address of the pod',
    inACluster: 'one of the pod network',
    here: 'an address 127.x.y.z of its own',
  },
  {
    what: 'bind address',
    inACluster: 'a server may listen on all addresses',
    here: '`LUTHIER_BIND_ADDRESS` is set to the address of the pod: it should listen there only. Programs of Node that listen on all do so when their image has the variables `LISTEN_ON_POD`',
  },
  {
    what: 'names of pods and services',
    inACluster: 'DNS; a service stands for its pods',
    here: '/etc/hosts of the pod; a service has the addresses of its ready pods, so its port must be their port; `hosts` adds names; `openService()` is the way into a service from the test',
  },
  {
    what: 'API server',
    inACluster: '`KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` name a service',
    here: 'they name the API server of the test; variables of other services are not set',
  },
  {
    what: 'emptyDir, configMap, secret, downwardAPI, projected',
    inACluster: 'volumes; files follow changes of their objects, size limits hold',
    here: 'folders with the same files, mounted at their path; read once; tokens are real and are not renewed',
  },
  {
    what: 'persistentVolumeClaim',
    inACluster: 'the volume that is bound to it',
    here: 'the folder of its hostPath volume, or of the table `claims`',
  },
  { what: 'hostPath', inACluster: 'a path of the node', here: 'the folder in the table `hostPaths`' },
];

/** What a cluster does to processes and the fake kubelet does not: tests prove nothing about it. */
export const NOT_DONE: readonly string[] = [
  '`securityContext`, users and capabilities: processes run as the user of the test',
  'limits of CPU, memory and storage; devices, and the variables of device plugins',
  'a root file system of its own: what is written outside of volumes is written to this machine',
  'process, network and IPC namespaces: a first process is not process 1, ports of other addresses can be reached',
  'sidecars (init containers with `restartPolicy`), `postStart`, HTTP hooks, gRPC probes, `activeDeadlineSeconds` of pods',
];

/** Variables that a container has besides those of its pod and of its image. */
export const ADDED_VARIABLES: readonly string[] = [
  'HOME',
  'HOSTNAME',
  'KUBERNETES_SERVICE_HOST',
  'KUBERNETES_SERVICE_PORT',
  'LUTHIER_BIND_ADDRESS',
  'PATH',
];
