import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDir, waitFor } from '@luthier/testing';
import {
  ADDED_VARIABLES,
  LISTEN_ON_POD,
  NOT_DONE,
  SUBSTITUTIONS,
  canRunKubernetes,
  canRunPodProcesses,
  startControlPlane,
} from '@luthier/testing/kube';
import type { ControlPlane, FakeKubelet, Pod } from '@luthier/testing/kube';
import { Pods, endOf } from './support/pods.js';

const withProcesses = (await canRunPodProcesses()) && (await canRunKubernetes()) ? describe : describe.skip;

/** A container's command: `script` in this Node. */
const node = (script: string): string[] => [process.execPath, '--input-type=module', '-e', script];
const sh = (script: string): string[] => ['sh', '-c', script];

withProcesses("a pod's command run by a fake kubelet", () => {
  let cluster: ControlPlane;
  let kubelet: FakeKubelet;
  let pods: Pods;
  let namespace: string;
  let shared: string;

  beforeAll(async () => {
    shared = await tempDir('shared');
    const imageFolder = await tempDir('image');
    await writeFile(join(imageFolder, 'word'), 'welcome');
    cluster = await startControlPlane();
    kubelet = await cluster.startKubelet({
      nodes: [{ name: 'process-1', gpus: 0 }],
      fateOf: () => ({ type: 'process' }),
      restartBackoffMs: 200,
      images: {
        'example.test/hello': { entrypoint: ['echo', 'hello'], cmd: ['you'], env: { GREETING: 'image' } },
        'example.test/web': { env: LISTEN_ON_POD, stopSignal: 'SIGINT', folders: { '/luthier-image': imageFolder } },
      },
      hosts: { 'elsewhere.example.test': '127.0.0.9' },
      hostPaths: { '/data/shared': shared },
    });
    namespace = await cluster.createNamespace();
    pods = new Pods(cluster, namespace);
    await cluster.apply(
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys', namespace }, stringData: { token: 's3cret' } },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'settings', namespace },
        data: { MODE: 'test', 'a.b': 'c' },
      },
    );
  }, 900_000);
  afterAll(() => cluster.stop());

  const runToEnd = async (
    name: string,
    spec: Record<string, unknown>,
    metadata = {},
  ): Promise<{ pod: Pod; log: string }> => {
    await pods.create(name, spec, metadata);
    const over = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';
    const pod = await pods.until(name, over, 'its end');
    return { pod, log: await pods.log(name) };
  };

  it('gets the environment that its pod renders, and no other variables than the documented ones', async () => {
    const { log } = await runToEnd(
      'env',
      {
        containers: [
          {
            command: node('console.log(JSON.stringify({ env: process.env, args: process.argv.slice(1) }))'),
            args: ['--', '$(GREETING)', '$$(GREETING)', '$(NOBODY)', 'a b'],
            envFrom: [{ configMapRef: { name: 'settings' } }, { secretRef: { name: 'none', optional: true } }],
            env: [
              { name: 'GREETING', value: 'hello $(MODE)' },
              { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } },
              { name: 'UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
              { name: 'RANK', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['example.test/rank']" } } },
              { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
              { name: 'with.dot-and-dash', value: 'kept' },
              { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
            ],
            resources: { limits: { memory: '64Mi' } },
          },
        ],
      },
      { annotations: { 'example.test/rank': '3' } },
    );
    const { uid } = (await pods.get('env')).metadata;
    const seen = JSON.parse(log) as { env: Record<string, string>; args: string[] };
    expect(seen.args).toEqual(['hello test', '$(GREETING)', '$(NOBODY)', 'a b']);
    expect(seen.env).toMatchObject({ MODE: 'test', 'a.b': 'c', GREETING: 'hello test', TOKEN: 's3cret', UID: uid });
    expect(seen.env).toMatchObject({ RANK: '3', 'with.dot-and-dash': 'kept', MEMORY: '64', HOSTNAME: 'env' });
    expect(seen.env['IP']).toMatch(/^127\./);
    expect(seen.env['LUTHIER_BIND_ADDRESS']).toBe(seen.env['IP']);
    const rendered = ['GREETING', 'IP', 'MEMORY', 'MODE', 'RANK', 'TOKEN', 'UID', 'a.b', 'with.dot-and-dash'];
    expect(Object.keys(seen.env).sort()).toEqual([...rendered, ...ADDED_VARIABLES].sort());
  });

  it('finds its peers by the names of a headless service, each at an address of its own', async () => {
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'ring', namespace },
      spec: { clusterIP: 'None', publishNotReadyAddresses: true, selector: { app: 'ring' }, ports: [{ port: 8080 }] },
    });
    const peer = (name: string, script: string): Promise<Pod> =>
      pods.create(
        name,
        { hostname: name, subdomain: 'ring', containers: [{ command: node(script) }] },
        { labels: { app: 'ring' } },
      );
    await peer(
      'ring-0',
      `
      import { createServer } from 'node:http';
      createServer((_, answer) => answer.end('from ' + process.env.LUTHIER_BIND_ADDRESS))
        .listen(8080, process.env.LUTHIER_BIND_ADDRESS);`,
    );
    await peer(
      'ring-1',
      `
      import { lookup } from 'node:dns/promises';
      import { hostname } from 'node:os';
      const get = async () => (await fetch('http://ring-0.ring.${namespace}.svc:8080')).text();
      for (;;) { try { await get(); break; } catch { await new Promise((again) => setTimeout(again, 50)); } }
      console.log(await get());
      console.log((await lookup('ring-0.ring')).address, (await lookup(hostname())).address, hostname());
      console.log((await lookup('elsewhere.example.test')).address);
      console.log((await lookup('ring', { all: true })).length);`,
    );
    await pods.untilPhase('ring-1', 'Succeeded');
    const server = (await pods.get('ring-0')).status?.podIP;
    const own = (await pods.get('ring-1')).status?.podIP;
    expect(server).not.toBe(own);
    expect((await pods.log('ring-1')).split('\n').slice(0, 3)).toEqual([
      `from ${server}`,
      `${server} ${own} ring-1`,
      '127.0.0.9',
    ]);
    await pods.delete('ring-0', '?gracePeriodSeconds=0');
  });

  it('sees its volumes where it mounts them, also where this machine has no such folder, and leaves no trace there', async () => {
    const claimed = await tempDir('claimed');
    await writeFile(join(claimed, 'weights'), 'w');
    await mkdir(join(shared, 'part'), { recursive: true });
    await cluster.createVolumeClaim({ namespace, name: 'models', folder: claimed });
    const token = { serviceAccountToken: { path: 'token', audience: 'luthier', expirationSeconds: 600 } };
    const { pod, log } = await runToEnd('volumes', {
      volumes: [
        { name: 'scratch', emptyDir: {} },
        { name: 'shm', emptyDir: { medium: 'Memory' } },
        { name: 'keys', secret: { secretName: 'keys', items: [{ key: 'token', path: 'deep/down', mode: 0o400 }] } },
        { name: 'settings', configMap: { name: 'settings' } },
        { name: 'mixed', projected: { sources: [token, { configMap: { name: 'settings' } }] } },
        { name: 'models', persistentVolumeClaim: { claimName: 'models' } },
        { name: 'node', hostPath: { path: '/data/shared' } },
      ],
      containers: [
        {
          workingDir: '/luthier-test/scratch/inner',
          command: sh(`
            set -e
            cat /luthier-test/scratch/key; echo; pwd; echo x > mark; echo shm > /dev/shm/mark; ls /dev/shm
            cat /var/lib/luthier-test/keys/deep/down; echo
            ls /luthier-test/settings | tr '\\n' ' '; cat /luthier-test/mixed/MODE; echo
            cut -d. -f2 /luthier-test/mixed/token | base64 -d 2>/dev/null | grep -o '"aud":\\["[a-z]*"\\]'
            cat /luthier-test/models/weights; echo; echo from-pod > /luthier-test/node/written
            touch /luthier-test/models/new 2>/dev/null && echo writable || echo read-only
            echo last words > /dev/termination-log`),
          volumeMounts: [
            { name: 'scratch', mountPath: '/luthier-test/scratch' },
            { name: 'shm', mountPath: '/dev/shm' },
            { name: 'keys', mountPath: '/var/lib/luthier-test/keys' },
            { name: 'settings', mountPath: '/luthier-test/settings', readOnly: true },
            { name: 'mixed', mountPath: '/luthier-test/mixed', readOnly: true },
            { name: 'models', mountPath: '/luthier-test/models', readOnly: true },
            { name: 'node', mountPath: '/luthier-test/node', subPath: 'part' },
            { name: 'keys', mountPath: '/luthier-test/scratch/key', subPath: 'deep/down' },
          ],
        },
      ],
    });
    expect(log.split('\n')).toEqual([
      's3cret',
      '/luthier-test/scratch/inner',
      'mark',
      's3cret',
      'MODE a.b test',
      '"aud":["luthier"]',
      'w',
      'read-only',
      '',
    ]);
    expect(endOf(pod)).toMatchObject({ exitCode: 0, message: 'last words\n' });
    expect(await readFile(join(shared, 'part', 'written'), 'utf8')).toBe('from-pod\n');
    expect(await readdir(claimed)).toEqual(['weights']);
    expect(
      ['/luthier-test', '/var/lib/luthier-test', '/dev/termination-log'].filter((path) => existsSync(path)),
    ).toEqual([]);
  });

  it('still sees this project where a volume would hide it, as it would see the files of its image', async () => {
    const project = fileURLToPath(new URL('../../', import.meta.url));
    const above = dirname(project);
    const { log } = await runToEnd('covered', {
      volumes: [{ name: 'cover', emptyDir: {} }],
      containers: [
        {
          command: sh(`ls ${above}; head -c 1 ${project}package.json`),
          volumeMounts: [{ name: 'cover', mountPath: above === '/' ? '/tmp' : above }],
        },
      ],
    });
    expect(log.trim()).toMatch(/(^|\n)\{$/);
    if (above !== '/') expect(log.trim()).toBe(`${basename(project)}\n{`);
  });

  it('talks to the API server with the token and certificate that its pod mounts', async () => {
    const { log } = await runToEnd('in-cluster', {
      automountServiceAccountToken: true,
      containers: [
        {
          command: node(`
            import { readFileSync } from 'node:fs';
            import { get } from 'node:https';
            const at = '/var/run/secrets/kubernetes.io/serviceaccount';
            const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
            const headers = { authorization: 'Bearer ' + readFileSync(at + '/token', 'utf8') };
            const path = '/api/v1/namespaces/' + readFileSync(at + '/namespace', 'utf8') + '/pods';
            get({ host, port, path, headers, ca: readFileSync(at + '/ca.crt') }, (answer) => answer.pipe(process.stdout));`),
        },
      ],
    });
    expect(JSON.parse(log)).toMatchObject({
      reason: 'Forbidden',
      message: expect.stringContaining(`"system:serviceaccount:${namespace}:default" cannot list`) as unknown,
    });
  });

  it('is told by SIGTERM to go after the pause that it wants, and may say last words within its grace period', async () => {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { metadata } = await cluster.api.get<{ metadata: { resourceVersion: string } }>(path);
    await pods.create('polite', {
      containers: [
        {
          command: sh('trap "echo saved > /dev/termination-log; exit 60" TERM; echo up; while :; do sleep 0.05; done'),
          lifecycle: { preStop: { sleep: { seconds: 1 } } },
        },
      ],
    });
    await untilLogged('polite', 'up');
    const started = Date.now();
    await pods.delete('polite');
    const last = await lastSeen(path, metadata.resourceVersion, 'polite');
    expect(Date.now() - started).toBeGreaterThanOrEqual(1_000);
    expect(endOf(last)).toMatchObject({ exitCode: 60, message: 'saved\n' });
  });

  it('is killed with all that it started when its grace period is over', async () => {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { metadata } = await cluster.api.get<{ metadata: { resourceVersion: string } }>(path);
    await pods.create('stubborn', {
      terminationGracePeriodSeconds: 1,
      containers: [{ command: sh('trap "" TERM; sleep 1000 & echo $!; wait; while :; do sleep 1; done') }],
    });
    const child = Number(await untilLogged('stubborn', '\n'));
    const started = Date.now();
    await pods.delete('stubborn');
    const last = await lastSeen(path, metadata.resourceVersion, 'stubborn');
    expect(endOf(last)).toMatchObject({ exitCode: 137 });
    expect(Date.now() - started).toBeGreaterThanOrEqual(1_000);
    await waitFor(() => !existsSync(`/proc/${child}`), { what: 'its child to end' });
  });

  it('leaves the end of its log as its message when it fails without last words', async () => {
    const terminationMessagePolicy = 'FallbackToLogsOnError';
    const { pod } = await runToEnd('silent', {
      containers: [{ command: sh('echo about to fail; echo because >&2; exit 3'), terminationMessagePolicy }],
    });
    expect(endOf(pod)).toMatchObject({ exitCode: 3, reason: 'Error' });
    expect(endOf(pod)?.message).toContain('because\n');
  });

  it('waits for a missing Secret and starts when it is there', async () => {
    const env = [{ name: 'A', valueFrom: { secretKeyRef: { name: 'late', key: 'a' } } }];
    await pods.create('patient', { containers: [{ command: sh('echo $A'), env }] });
    const waiting = (pod: Pod): object | undefined => pod.status?.containerStatuses?.[0]?.state.waiting;
    const pod = await pods.until('patient', (found) => 'message' in (waiting(found) ?? {}), 'waiting');
    expect(waiting(pod)).toEqual({ reason: 'CreateContainerConfigError', message: 'secret "late" not found' });
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'late', namespace },
      stringData: { a: '1' },
    });
    await pods.untilPhase('patient', 'Succeeded');
    expect(await pods.log('patient')).toBe('1\n');
  });

  it('tells by an event which volume cannot be mounted', async () => {
    await pods.create('unmounted', { volumes: [{ name: 'v', secret: { secretName: 'nowhere' } }] });
    const events = `/api/v1/namespaces/${namespace}/events`;
    const message = await waitFor(async () => {
      const query = { fieldSelector: 'involvedObject.name=unmounted,reason=FailedMount' };
      return (await cluster.api.get<{ items: { message: string }[] }>(events, query)).items[0]?.message;
    });
    expect(message).toBe('MountVolume.SetUp failed for volume "v" : secret "nowhere" not found');
    const { status } = await pods.until('unmounted', (pod) => pod.status?.containerStatuses !== undefined, 'a status');
    expect(status?.containerStatuses?.[0]?.state.waiting).toEqual({ reason: 'ContainerCreating' });
    await pods.delete('unmounted', '?gracePeriodSeconds=0');
  });

  it('ends with StartError when there is no such program', async () => {
    await pods.create('no-program', { containers: [{ command: ['luthier-has-no-such-program'] }] });
    expect(endOf(await pods.untilPhase('no-program', 'Failed'))).toMatchObject({
      exitCode: 128,
      reason: 'StartError',
      message: expect.stringContaining('luthier-has-no-such-program') as unknown,
    });
  });

  it("takes an image's command from the table, and refuses an image that it does not know", async () => {
    const hello = { image: 'example.test/hello' };
    expect((await runToEnd('hello', { containers: [hello] })).log).toBe('hello you\n');
    expect((await runToEnd('hello-args', { containers: [{ ...hello, args: ['$(GREETING)'] }] })).log).toBe(
      'hello image\n',
    );
    expect((await runToEnd('hello-command', { containers: [{ ...hello, command: ['echo', 'x'] }] })).log).toBe('x\n');
    await pods.create('unknown', {});
    await pods.until(
      'unknown',
      ({ status }) => status?.containerStatuses?.[0]?.state.waiting?.reason === 'ErrImagePull',
      'refused',
    );
    await pods.delete('unknown', '?gracePeriodSeconds=0');
  });

  it('runs init containers one after another before it', async () => {
    const mounts = { volumeMounts: [{ name: 'work', mountPath: '/luthier-test' }] };
    const { log } = await runToEnd('prepared', {
      volumes: [{ name: 'work', emptyDir: {} }],
      initContainers: ['a', 'b'].map((name) => ({
        ...{ name, image: 'example.test/image', command: sh(`echo ${name} >> /luthier-test/order`), ...mounts },
      })),
      containers: [{ command: sh('cat /luthier-test/order'), ...mounts }],
    });
    expect(log).toBe('a\nb\n');
    const { pod } = await runToEnd('unprepared', {
      initContainers: [{ name: 'a', image: 'example.test/image', command: sh('exit 9') }],
      containers: [{ command: sh('echo never') }],
    }).catch(async () => ({ pod: await pods.get('unprepared') }));
    expect(pod.status?.phase).toBe('Failed');
    expect(pod.status?.containerStatuses?.[0]?.state.waiting?.reason).toBe('PodInitializing');
  });

  it('is asked by its probes, is ready when they say so, and starts again when it is found dead', async () => {
    const probe = { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 60 };
    await pods.create('probed', {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          command: node(`
            import { createServer } from 'node:http';
            import { existsSync } from 'node:fs';
            createServer((request, answer) => {
              answer.statusCode = existsSync('/luthier-test/ready') ? 200 : 503;
              answer.end();
            }).listen(8080, process.env.LUTHIER_BIND_ADDRESS);`),
          ports: [{ name: 'http', containerPort: 8080 }],
          startupProbe: { ...probe, failureThreshold: 30, tcpSocket: { port: 'http' } },
          readinessProbe: { ...probe, httpGet: { path: '/', port: 'http' } },
          livenessProbe: { ...probe, exec: { command: sh('test ! -e /luthier-test/dead') } },
          volumeMounts: [{ name: 'work', mountPath: '/luthier-test', subPath: 'w' }],
        },
      ],
      volumes: [{ name: 'work', hostPath: { path: '/data/shared' } }],
    });
    const work = join(shared, 'w');
    const first = ({ status }: Pod) => status?.containerStatuses?.[0];
    await pods.until('probed', (pod) => first(pod)?.started === true, 'started');
    expect(first(await pods.get('probed'))?.ready).toBe(false);
    await writeFile(join(work, 'ready'), '');
    await pods.until('probed', (pod) => first(pod)?.ready === true, 'ready');
    await writeFile(join(work, 'dead'), '');
    await pods.until('probed', (pod) => (first(pod)?.restartCount ?? 0) > 0, 'started again');
    expect(first(await pods.get('probed'))?.lastState.terminated?.exitCode).toBe(143);
    await pods.delete('probed', '?gracePeriodSeconds=0');
  });

  it('is reached through its Service while it is ready: not once it is told to go, though it answers on until its hook ends', async () => {
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
    });
    const server = {
      image: 'example.test/web',
      command: node(`
        import { createServer } from 'node:http';
        import { readFileSync } from 'node:fs';
        process.on('SIGINT', () => { console.log('interrupted'); process.exit(0); });
        createServer((_, answer) => {
          answer.setHeader('connection', 'close');
          answer.end(readFileSync('/luthier-image/word'));
        }).listen(8080, '0.0.0.0');`),
      ports: [{ name: 'http', containerPort: 8080 }],
      readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1, timeoutSeconds: 60 },
      lifecycle: { preStop: { exec: { command: sh('until [ -e /luthier-test/may-go ]; do sleep 0.05; done') } } },
      volumeMounts: [{ name: 'work', mountPath: '/luthier-test' }],
    };
    const volumes = [{ name: 'work', hostPath: { path: '/data/shared' } }];
    await pods.create('web', { containers: [server], volumes }, { labels: { app: 'web' } });
    const { host, port } = await kubelet.openService(namespace, 'web');
    const ask = async (): Promise<string> => (await fetch(`http://${host}:${port}`)).text();
    expect(await waitFor(ask, { what: 'an answer through the Service' })).toBe('welcome');
    const at = `http://${(await pods.get('web')).status?.podIP}:8080`;
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { metadata } = await cluster.api.get<{ metadata: { resourceVersion: string } }>(path);
    await pods.delete('web', '?gracePeriodSeconds=60');
    await waitFor(
      () =>
        ask().then(
          () => false,
          () => true,
        ),
      { what: 'the Service to lead nowhere' },
    );
    expect(await (await fetch(at)).text()).toBe('welcome');
    await writeFile(join(shared, 'may-go'), '');
    expect(endOf(await lastSeen(path, metadata.resourceVersion, 'web'))).toMatchObject({ exitCode: 0 });
  });

  it('goes with the kubelet, which then leaves no folder behind', async () => {
    await pods.create('last', { containers: [{ command: sh('sleep 1000 & echo $!; wait') }] });
    const child = Number(await untilLogged('last', '\n'));
    await kubelet.stop();
    await waitFor(() => !existsSync(`/proc/${child}`), { what: 'its process to end' });
  });

  async function untilLogged(name: string, text: string): Promise<string> {
    return waitFor(
      async () => {
        const log = await pods.log(name);
        return log.includes(text) ? log : undefined;
      },
      { what: `${name} to log ${text}`, intervalMs: 50 },
    );
  }

  /** The last state of a pod before it was removed. */
  async function lastSeen(path: string, resourceVersion: string, name: string): Promise<Pod> {
    let last: Pod | undefined;
    for await (const { type, object } of cluster.api.watch<Pod>(
      path,
      { resourceVersion },
      AbortSignal.timeout(90_000),
    )) {
      if (object.metadata.name !== name) continue;
      if (type === 'DELETED') break;
      last = object;
    }
    if (!last) throw new Error(`nothing was seen of ${name}`);
    return last;
  }
});

describe('the contract of the fake kubelet', () => {
  it('is the table that the reference shows', async () => {
    const page = await readFile(new URL('../../docs/reference/fake-kubelet.md', import.meta.url), 'utf8');
    const cells = (line: string): string[] =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
    const rows = page
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map(cells);
    const expected = SUBSTITUTIONS.map(({ what, inACluster, here }) => [what, inACluster, here]);
    expect(rows.slice(2)).toEqual(expected);
    const flat = page.replaceAll(/\s+/g, ' ');
    for (const fact of NOT_DONE) expect(flat).toContain(fact);
    for (const name of ADDED_VARIABLES) expect(flat).toContain(`\`${name}\``);
  });
});
