import { ensureKubernetes } from './binaries.js';

/**
 * True where the control plane can run; it is built at the first time. Where it cannot, tests are skipped with a word;
 * `LUTHIER_TEST_REQUIRE=all` makes that a failure.
 */
export async function canRunKubernetes(): Promise<boolean> {
  const { missing } = await ensureKubernetes({ log: (message) => console.log(message) });
  if (missing === undefined) return true;
  const reason = `tests against a real Kubernetes control plane: they need ${missing}`;
  if (process.env['LUTHIER_TEST_REQUIRE'] === 'all') throw new Error(`this machine cannot run ${reason}`);
  console.warn(`SKIPPED: ${reason}`);
  return false;
}
