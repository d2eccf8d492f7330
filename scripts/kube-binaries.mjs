// Builds the programs of the Kubernetes tests from source into the cache, once. `node scripts/kube-binaries.mjs` makes
// etcd, kube-apiserver, kube-controller-manager and kube-scheduler; with `kueue`, `coscheduling` (the scheduler for gangs),
// `jobset`, `trainer` (Kubeflow's), `helm`, `crds` (custom resources that the chart makes), `dockerfile` (readers of
// Dockerfiles and compose files) or `prometheus` (with promtool) that one. Needs Go and a built libs/testing (`pnpm build`).
import { pathToFileURL } from 'node:url';

/** @typedef {'kube' | 'kueue' | 'coscheduling' | 'jobset' | 'trainer' | 'helm' | 'crds' | 'dockerfile' | 'prometheus'} Which */
/** @type {readonly Which[]} */
export const ALL_BINARIES = [
  'kube',
  'kueue',
  'coscheduling',
  'jobset',
  'trainer',
  'helm',
  'crds',
  'dockerfile',
  'prometheus',
];

/**
 * @param {Which} which
 * @returns {Promise<{ dir?: string, missing?: string }>} the folder of the programs, or what is missing to build them.
 */
export async function ensureKubeBinaries(which) {
  const binaries = await import('../libs/testing/dist/kube/binaries.js');
  return {
    kube: binaries.ensureKubernetes,
    kueue: binaries.ensureKueue,
    coscheduling: binaries.ensureCoscheduling,
    jobset: binaries.ensureJobSet,
    trainer: binaries.ensureKubeflowTrainer,
    helm: binaries.ensureHelm,
    crds: binaries.ensureChartResources,
    dockerfile: binaries.ensureImageReaders,
    prometheus: binaries.ensurePrometheus,
  }[which]();
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const which = ALL_BINARIES.find((name) => name === (process.argv[2] ?? 'kube'));
  if (!which) {
    console.error(`usage: node scripts/kube-binaries.mjs [${ALL_BINARIES.join('|')}]`);
    process.exit(2);
  }
  const found = await ensureKubeBinaries(which);
  console.log(found.dir ?? `missing: ${found.missing}`);
  process.exit(found.dir === undefined ? 1 : 0);
}
