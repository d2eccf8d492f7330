// Builds the programs of the Kubernetes tests from source into the cache, once: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and kueue. Without arguments: `node scripts/kube-binaries.mjs` makes the first
// four, `node scripts/kube-binaries.mjs kueue` that one. Needs Go and a built libs/testing (`pnpm build`).
import { pathToFileURL } from 'node:url';

/**
 * @param {'kube' | 'kueue'} which
 * @returns {Promise<{ dir?: string, missing?: string }>} the folder of the programs, or what is missing to build them.
 */
export async function ensureKubeBinaries(which = 'kube') {
  const { ensureKubernetes, ensureKueue } = await import('../libs/testing/dist/kube/binaries.js');
  return which === 'kueue' ? ensureKueue() : ensureKubernetes();
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = await ensureKubeBinaries(process.argv[2] === 'kueue' ? 'kueue' : 'kube');
  console.log(found.dir ?? `missing: ${found.missing}`);
  process.exit(found.dir === undefined ? 1 : 0);
}
