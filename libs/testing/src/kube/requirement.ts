import {
  ensureCoscheduling,
  ensureHelm,
  ensureImageReaders,
  ensureJobSet,
  ensureKubeflowTrainer,
  ensureKubernetes,
  ensureKueue,
  ensurePrometheus,
} from './binaries.js';
import { requireAll, runsHere } from '../requirement.js';
import { whyNoNamespaces } from './fake-kubelet/mount-namespace.js';

/**
 * True where the control plane can run; it is built at the first time. Where it cannot, tests are skipped with a word;
 * `LUTHIER_TEST_REQUIRE=all` makes that a failure.
 */
export async function canRunKubernetes(): Promise<boolean> {
  const found = await ensureKubernetes({ log: (message) => console.log(message) });
  return runsHere('tests against a real Kubernetes control plane', found.missing);
}

/** True where Kueue can run besides. It takes long to build, so that is done only where everything is required. */
export async function canRunKueue(): Promise<boolean> {
  const found = await ensureKueue({ build: requireAll(), log: (message) => console.log(message) });
  return (await canRunKubernetes()) && (await canRunPodProcesses()) && runsHere('tests against Kueue', found.missing);
}

/** True where the scheduler for gangs can run besides. As Kueue, it is built only where everything is required. */
export async function canRunCoscheduling(): Promise<boolean> {
  const found = await ensureCoscheduling({ build: requireAll(), log: (message) => console.log(message) });
  return (await canRunKubernetes()) && runsHere('tests against the coscheduling scheduler', found.missing);
}

/** True where JobSet can run besides; built as Kueue is. */
export async function canRunJobSet(): Promise<boolean> {
  const found = await ensureJobSet({ build: requireAll(), log: (message) => console.log(message) });
  return (await canRunKubernetes()) && runsHere('tests against JobSet', found.missing);
}

/** True where Kubeflow Trainer can run besides, with the JobSet that it needs; built as Kueue is. */
export async function canRunKubeflowTrainer(): Promise<boolean> {
  const found = await ensureKubeflowTrainer({ build: requireAll(), log: (message) => console.log(message) });
  return (await canRunJobSet()) && runsHere('tests against Kubeflow Trainer', found.missing);
}

/** True where pods can run as processes: that takes the right to make mount namespaces. */
export async function canRunPodProcesses(): Promise<boolean> {
  return runsHere("tests that run pods' commands", await whyNoNamespaces());
}

/** True where Helm can run; built as Kueue is. */
export async function canRunHelm(): Promise<boolean> {
  const found = await ensureHelm({ build: requireAll(), log: (message) => console.log(message) });
  return runsHere('tests of the chart', found.missing);
}

/** True where Dockerfiles and compose files can be read as BuildKit and Compose read them; built at the first time. */
export async function canReadImages(): Promise<boolean> {
  const found = await ensureImageReaders({ log: (message) => console.log(message) });
  return runsHere('tests of Dockerfiles and the compose file', found.missing);
}

/** True where Prometheus can run; built as Kueue is. */
export async function canRunPrometheus(): Promise<boolean> {
  const found = await ensurePrometheus({ build: requireAll(), log: (message) => console.log(message) });
  return runsHere('tests of rules and dashboards', found.missing);
}
