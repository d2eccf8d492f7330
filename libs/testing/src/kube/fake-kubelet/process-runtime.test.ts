import { expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '../../temp-dir.js';
import type { KubeApi } from '../kube-api.js';
import type { Pod } from '../objects.js';
import type { NamedPod } from './cluster-names.js';
import { ProcessRuntime } from './process-runtime.js';

const podNamed = (name: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'here', uid: name },
  spec: { subdomain: 'ring', containers: [] },
});

it('leaves the newest names in the hosts file of a pod, however often and quickly they are renewed', async () => {
  const dir = await tempDir('names');
  let pods: NamedPod[] = [];
  const runtime = new ProcessRuntime({
    api: {} as KubeApi, // not asked
    pod: podNamed('self'),
    place: { podIP: '127.0.1.1', hostIP: '127.0.0.1', allocatable: {} },
    dir,
    tables: {},
    neighbours: () => ({ pods, services: [] }),
  });
  const renewals: Promise<void>[] = [];
  for (let count = 1; count <= 20; count += 1) {
    pods = [{ pod: podNamed(`peer-${count}`), podIP: `127.0.2.${count}`, ready: true }];
    renewals.push(runtime.renewNames());
  }
  pods = [];
  await Promise.all(renewals);
  expect(await readFile(join(dir, 'hosts'), 'utf8')).toBe('127.0.0.1 localhost\n127.0.1.1 self\n');
});
