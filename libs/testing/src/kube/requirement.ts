import { ensureKubernetes, ensureKueue } from './binaries.js';
import type { Programs } from './binaries.js';
import { whyNoNamespaces } from './fake-kubelet/mount-namespace.js';

const requireAll = (): boolean => process.env['LUTHIER_TEST_REQUIRE'] === 'all';

/**
 * True where the control plane can run; it is built at the first time. Where it cannot, tests are skipped with a word;
 * `LUTHIER_TEST_REQUIRE=all` makes that a failure.
 */
export async function canRunKubernetes(): Promise<boolean> {
  const found = await ensureKubernetes({ log: (message) => console.log(message) });
  return judge(found, 'tests against a real Kubernetes control plane');
}

/** True where Kueue can run besides. It takes long to build, so that is done only where everything is required. */
export async function canRunKueue(): Promise<boolean> {
  const found = await ensureKueue({ build: requireAll(), log: (message) => console.log(message) });
  return (await canRunKubernetes()) && (await canRunPodProcesses()) && judge(found, 'tests against Kueue');
}

/** True where pods can run as processes: that takes the right to make mount namespaces. */
export async function canRunPodProcesses(): Promise<boolean> {
  const missing = await whyNoNamespaces();
  return judge(missing === undefined ? { dir: '/' } : { missing }, "tests that run pods' commands");
}

function judge({ missing }: Programs, what: string): boolean {
  if (missing === undefined) return true;
  const reason = `${what}: they need ${missing}`;
  if (requireAll()) throw new Error(`this machine cannot run ${reason}`);
  console.warn(`SKIPPED: ${reason}`);
  return false;
}
