// The peer of the bench `trainer`: the same requests in the same order for each run, with the same client, and nothing
// else. Usage: node bare-calls.mjs KUBECONFIG NAMESPACE FILE; FILE holds one rendered run a line. Begins at a line on
// standard input, and ends with it, so that its CPU time can be read when all is done.
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { CONFIG_MAPS, JOBS, KubeClient, SECRETS, SERVICES } from '../../../libs/kube/dist/index.js';

const [kubeconfig, namespace, file] = process.argv.slice(2);
const client = KubeClient.fromConfig({ cluster: { file: kubeconfig }, fieldManager: 'bare', qps: 0, burst: 1 });
const runs = (await readFile(file, 'utf8'))
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line));
await client.discover(); // the connection is there, as the trainer's is
process.stdout.write('ready\n');
await once(process.stdin, 'data');
const AT_ONCE = 64; // as many as the trainer looks at
const left = runs.values();
const makeAll = async () => {
  for (const { job, configMap, secret, service } of left) {
    const { metadata } = await client.create(JOBS, job);
    for (const child of [configMap, secret, service]) child.metadata.ownerReferences[0].uid = metadata.uid;
    await Promise.all([
      client.apply(CONFIG_MAPS, configMap),
      client.apply(SECRETS, secret),
      client.apply(SERVICES, service),
    ]);
    await client.mergePatch(JOBS, metadata.name, namespace, {
      metadata: { uid: metadata.uid, annotations: { 'luthier.dev/prepared': 'true' } },
      spec: { suspend: false },
    });
  }
};
await Promise.all(Array.from({ length: AT_ONCE }, makeAll));
process.stdin.resume();
await once(process.stdin, 'end');
process.exit(0);
