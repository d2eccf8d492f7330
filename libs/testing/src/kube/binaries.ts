import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { defaultCacheDir, withFileLock } from '@luthier/local-servers';

const run = promisify(execFile);
const TOOLS = fileURLToPath(new URL('../../../../tools/', import.meta.url));
const BUILD_TIMEOUT_MS = 60 * 60_000;

/** A Go module below tools/ whose programs the tests run. */
interface GoPrograms {
  module: 'kube' | 'kueue' | 'coscheduling' | 'jobset' | 'trainer' | 'helm' | 'crds' | 'dockerfile' | 'prometheus';
  programs: readonly string[];
  /** Where programs come from that are not of the module itself. */
  packages?: Readonly<Record<string, string>>;
  /** Files of other modules that are kept beside the programs, in a folder `crds`. */
  crds?: readonly Definitions[];
  /** Build tags: what of a module is left out. */
  tags?: string;
  /** Arguments of the linker besides -s -w: what the programs say about their version. */
  link: string;
  /** 19 for what nobody waits for. */
  niceness: number;
  /** For the message: what it costs when nothing is cached, on two cores. */
  cost: string;
}

/** Custom resources as files of a Go module: all of a folder, or those of the names. */
interface Definitions {
  module: string;
  folder: string;
  files?: readonly string[];
}

const VERSION = 'k8s.io/component-base/version';
const KUBERNETES: GoPrograms = {
  module: 'kube',
  programs: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'],
  link: `-X ${VERSION}.gitVersion=v1.36.3 -X ${VERSION}.gitMajor=1 -X ${VERSION}.gitMinor=36`,
  niceness: 10,
  cost: 'about 6 minutes on two cores, 2 GB of memory, 2 GB in the cache folders of Go and Luthier',
};

const KUEUE: GoPrograms = {
  module: 'kueue',
  programs: ['kueue'],
  packages: { kueue: 'sigs.k8s.io/kueue/cmd/kueue' },
  crds: [{ module: 'sigs.k8s.io/kueue', folder: 'config/components/crd/bases' }],
  link: '',
  niceness: 19,
  cost: 'about 12 minutes on two cores at the lowest priority',
};

const COSCHEDULING: GoPrograms = {
  module: 'coscheduling',
  programs: ['coscheduling'],
  crds: [{ module: 'sigs.k8s.io/scheduler-plugins', folder: 'config/crd/bases' }],
  link: `-X ${VERSION}.gitVersion=v1.33.5`,
  niceness: 19,
  cost: 'about 4 minutes on two cores at the lowest priority',
};

const JOB_SET: GoPrograms = {
  module: 'jobset',
  programs: ['jobset'],
  packages: { jobset: 'sigs.k8s.io/jobset' },
  crds: [{ module: 'sigs.k8s.io/jobset', folder: 'config/components/crd/bases' }],
  link: '',
  niceness: 19,
  cost: 'about 3 minutes on two cores at the lowest priority',
};

const KUBEFLOW_TRAINER: GoPrograms = {
  module: 'trainer',
  programs: ['trainer'],
  packages: { trainer: 'github.com/kubeflow/trainer/v2/cmd/trainer-controller-manager' },
  crds: [{ module: 'github.com/kubeflow/trainer/v2', folder: 'manifests/base/crds' }],
  link: '',
  niceness: 19,
  cost: 'about 2 minutes on two cores at the lowest priority, once JobSet is built',
};

const HELM: GoPrograms = {
  module: 'helm',
  programs: ['helm'],
  packages: { helm: 'helm.sh/helm/v4/cmd/helm' },
  link: '-X helm.sh/helm/v4/internal/version.version=v4.3.1',
  niceness: 10,
  cost: 'about 2 minutes on two cores, once Kubernetes is built',
};

const CHART_RESOURCES: GoPrograms = {
  module: 'crds',
  programs: [],
  crds: [
    {
      module: 'github.com/prometheus-operator/prometheus-operator',
      folder: 'example/prometheus-operator-crd',
      files: ['podmonitors', 'servicemonitors', 'prometheusrules'].map((name) => `monitoring.coreos.com_${name}.yaml`),
    },
    {
      module: 'sigs.k8s.io/gateway-api',
      folder: 'config/crd/standard',
      files: ['gateway.networking.k8s.io_httproutes.yaml'],
    },
  ],
  link: '',
  niceness: 10,
  cost: 'a few seconds: files alone',
};

const DOCKERFILE: GoPrograms = {
  module: 'dockerfile',
  programs: ['dockerfile', 'compose'],
  link: '',
  niceness: 10,
  cost: 'about 15 seconds on two cores',
};

/** Without the discovery of a dozen clouds, and without its pages, which are not in the module. */
const PROMETHEUS: GoPrograms = {
  module: 'prometheus',
  programs: ['prometheus', 'promtool'],
  packages: {
    prometheus: 'github.com/prometheus/prometheus/cmd/prometheus',
    promtool: 'github.com/prometheus/prometheus/cmd/promtool',
  },
  tags: 'remove_all_sd',
  link: '-X github.com/prometheus/common/version.Version=3.16.0',
  niceness: 10,
  cost: 'about 3 minutes on two cores, 106 MB',
};

export type Programs = { dir: string; missing?: undefined } | { dir?: undefined; missing: string };

interface EnsureOptions {
  /** False only looks. @default true */
  build?: boolean;
  log?: (message: string) => void;
}

/** The folder with etcd, kube-apiserver, kube-controller-manager and kube-scheduler; built from source once. */
export const ensureKubernetes = (options?: EnsureOptions): Promise<Programs> => ensurePrograms(KUBERNETES, options);

/** The folder with kueue, built from source once, and its custom resources in the folder `crds`. */
export const ensureKueue = (options?: EnsureOptions): Promise<Programs> => ensurePrograms(KUEUE, options);

/** The folder with coscheduling, a second scheduler, built from source once, and its custom resources in `crds`. */
export const ensureCoscheduling = (options?: EnsureOptions): Promise<Programs> => ensurePrograms(COSCHEDULING, options);

/** The folder with jobset, built from source once, and its custom resource in the folder `crds`. */
export const ensureJobSet = (options?: EnsureOptions): Promise<Programs> => ensurePrograms(JOB_SET, options);

/** The folder with Kubeflow's trainer, built from source once, and its custom resources in the folder `crds`. */
export const ensureKubeflowTrainer = (options?: EnsureOptions): Promise<Programs> =>
  ensurePrograms(KUBEFLOW_TRAINER, options);

/** The folder with helm, built from source once. */
export const ensureHelm = (options?: EnsureOptions): Promise<Programs> => ensurePrograms(HELM, options);

/** A folder whose `crds` are the custom resources of the Prometheus Operator and the Gateway API that the chart makes. */
export const ensureChartResources = (options?: EnsureOptions): Promise<Programs> =>
  ensurePrograms(CHART_RESOURCES, options);

/** The folder with dockerfile and compose, which say what BuildKit and Compose read in a file; built from source once. */
export const ensureImageReaders = (options?: EnsureOptions): Promise<Programs> => ensurePrograms(DOCKERFILE, options);

/** The folder with prometheus and promtool, built from source once. */
export const ensurePrometheus = (options?: EnsureOptions): Promise<Programs> => ensurePrograms(PROMETHEUS, options);

/**
 * Builds the programs of a module into `<cache>/<module>/<hash>`, where the hash covers everything that they are made
 * of. Several processes may ask at once: one builds, the others wait.
 * @returns why there are none, for instance that Go is not installed; a build that fails throws.
 */
async function ensurePrograms(wanted: GoPrograms, options: EnsureOptions = {}): Promise<Programs> {
  const { build = true, log = (message) => process.stderr.write(`${message}\n`) } = options;
  const source = join(TOOLS, wanted.module);
  const go = await findGo();
  const named = wanted.programs.join(', ') || wanted.module;
  if (!go) return { missing: `Go 1.26 or newer, to build ${named}` };
  const root = join(defaultCacheDir(), wanted.module);
  const dir = join(root, await hashOf(source, [go.version, wanted.link, ...(wanted.tags ? [wanted.tags] : [])]));
  if (await isFolder(dir)) return { dir };
  if (!build)
    return {
      missing: `${named}: run \`node scripts/kube-binaries.mjs ${wanted.module}\` (${wanted.cost})`,
    };
  await mkdir(root, { recursive: true });
  return withFileLock(`${dir}.lock`, BUILD_TIMEOUT_MS, async () => {
    if (await isFolder(dir)) return { dir };
    log(`luthier: building ${named} from source, once: ${wanted.cost}`);
    const draft = await mkdtemp(join(root, '.building-'));
    try {
      for (const program of wanted.programs) await buildProgram(wanted, go.file, source, program, draft, log);
      for (const crds of wanted.crds ?? []) await copyCrds(crds, go.file, source, join(draft, 'crds'));
      await rename(draft, dir);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    return { dir };
  });
}

/** On PATH, or where Go's own installation puts it, which not every shell has on its PATH. */
async function findGo(): Promise<{ file: string; version: string } | undefined> {
  for (const file of ['go', '/usr/local/go/bin/go']) {
    const found = await run(file, ['version'], { timeout: 30_000 }).catch(() => undefined);
    if (found) return { file, version: found.stdout.trim() };
  }
  return undefined;
}

async function buildProgram(
  { link, niceness, packages, tags }: GoPrograms,
  go: string,
  source: string,
  program: string,
  into: string,
  log: (message: string) => void,
): Promise<void> {
  const started = Date.now();
  const file = join(into, program);
  const args = ['build', '-p', '2', '-trimpath', '-buildvcs=false', '-ldflags', `-s -w ${link}`.trim()];
  if (tags) args.push('-tags', tags);
  await nice(niceness, go, [...args, '-o', file, packages?.[program] ?? `./cmd/${program}`], source);
  const { size } = await stat(file);
  log(`luthier: ${program}: ${(size / 1e6).toFixed(0)} MB in ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

async function copyCrds(
  { module, folder, files }: Definitions,
  go: string,
  source: string,
  into: string,
): Promise<void> {
  const { stdout } = await run(go, ['mod', 'download', '-json', module], { cwd: source, timeout: 300_000 });
  const { Dir } = JSON.parse(stdout) as { Dir: string };
  await mkdir(into, { recursive: true });
  for (const file of files ?? (await readdir(join(Dir, folder))))
    await writeFile(join(into, file), await readFile(join(Dir, folder, file)));
}

/** A build must not take the machine from whoever works at it. What it prints is passed on: it says what is fetched. */
function nice(niceness: number, file: string, args: readonly string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('nice', ['-n', String(niceness), file, ...args], {
      cwd,
      stdio: ['ignore', 'inherit', 'pipe'],
      timeout: BUILD_TIMEOUT_MS,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' },
    });
    let tail = '';
    child.stderr.on('data', (chunk: Buffer) => (tail = (tail + chunk.toString()).slice(-4_000)));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${file} ${args.join(' ')} ended with ${code ?? signal}:\n${tail}`));
    });
  });
}

/** Of the module's files and of what else decides on the result. */
async function hashOf(source: string, others: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update([...others, process.platform, process.arch].join('\0'));
  const files = (await readdir(source, { recursive: true })).filter((file) => /go\.(mod|sum)$|\.go$/.test(file)).sort();
  for (const file of files) hash.update(`\0${file}\0`).update(await readFile(join(source, file)));
  return hash.digest('hex').slice(0, 16);
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
