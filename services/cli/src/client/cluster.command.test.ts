import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Command } from 'commander';
import { addClusterCommand } from './cluster.command.js';
import { clusterText, findingsText } from './cluster-text.js';
import type { Cluster, Findings } from './cluster-text.js';

const stock = { total: 64, free: 60 };
const CLUSTER: Cluster = {
  ...{ executor: 'kubernetes', message: 'Runs are Kubernetes Jobs.', observed_at: 'now', namespace: 'runs' },
  groups: [
    {
      ...{ product: 'NVIDIA-A10', resource: 'nvidia.com/gpu', device_memory_mib: 24_564, nodes: 1, total: 8, free: 3 },
      largest_node: 8,
    },
  ],
  nodes: [
    {
      ...{ name: 'gpu-1', ready: true, schedulable: true, compute_major: 8, mig: 'none', sharing: 'none' },
      devices: [{ resource: 'nvidia.com/gpu', product: 'NVIDIA-A10', memory_mib: 24_564, total: 8, free: 3 }],
      taints: [{ key: 'team', value: 'a', effect: 'NoSchedule' }],
      ...{ cpu: stock, memory_mib: { total: 524_288, free: 262_144 } },
    },
  ],
  quotas: [{ name: 'team', resource: 'requests.nvidia.com/gpu', hard: 8, used: 5 }],
  queues: [
    {
      ...{ name: 'team-a', cluster_queue: 'all', active: true, pending: 2, admitted: 1 },
      limits: [{ flavor: 'f', resource: 'nvidia.com/gpu', most: null, used: 5 }],
    },
  ],
  watches: [
    { name: 'nodes', connected: true, last_sync_age_ms: 5 },
    { name: 'pods', connected: false, last_sync_age_ms: 90_400 },
  ],
};
const FINDINGS: Findings = {
  ...{ executor: 'kubernetes', ok: false },
  checks: [
    {
      ...{ topic: 'api', profile: null, id: 'api-answers', state: 'ok', params: { kinds: 84 }, obstacle: null },
      ...{ check: 'api', message: 'Answers.', fix: null },
    },
    {
      ...{ topic: 'permissions', profile: null, id: 'permissions-missing', state: 'fail', obstacle: null },
      params: { here: 'create jobs.batch', everywhere: '', namespace: 'runs', file: 'role.yaml' },
      ...{ check: 'permissions', message: 'May not create jobs.', fix: 'Apply the role.' },
    },
  ],
};

describe('luthier cluster', () => {
  let server: Server;
  let url: string;
  let findings = FINDINGS;
  beforeAll(async () => {
    server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(request.url === '/api/v1/cluster' ? CLUSTER : findings));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());
  afterEach(() => {
    process.exitCode = 0;
    jest.restoreAllMocks();
  });

  async function luthier(...args: string[]): Promise<string> {
    const said = jest.spyOn(console, 'log').mockImplementation(() => undefined);
    const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
    addClusterCommand(program);
    await program.parseAsync(['cluster', ...args, '--url', url, '--key', 'k'], { from: 'user' });
    const text = said.mock.calls.map(([line]) => String(line)).join('\n');
    said.mockRestore();
    return text;
  }

  it('shows devices, nodes, quotas, queues and lost watches as tables', async () => {
    expect(await luthier('show')).toBe(
      [
        'Runs are Kubernetes Jobs.',
        '',
        'GPU         RESOURCE        MEMORY  NODES  TOTAL  FREE  MOST ON A NODE',
        'NVIDIA-A10  nvidia.com/gpu  24 GiB      1      8     3               8',
        '',
        'NODE   STATE  DEVICES FREE        CPU FREE  MEMORY FREE      TAINTS',
        'gpu-1  ready  3/8 nvidia.com/gpu  60/64     256 GiB/512 GiB  team:NoSchedule',
        '',
        'QUOTA  RESOURCE                 USED  LIMIT',
        'team   requests.nvidia.com/gpu     5      8',
        '',
        'QUEUE   STATE  WAITING  ADMITTED  USED',
        'team-a  open         2         1  5/any nvidia.com/gpu',
        '',
        'NOT CONNECTED  SECONDS OLD',
        'pods                    90',
      ].join('\n'),
    );
    expect(JSON.parse(await luthier('show', '--json'))).toEqual(CLUSTER);
  });

  it('names what is wrong with what to do, and exits 1 only when a check failed', async () => {
    const text = await luthier('doctor');
    expect(text).toContain('FAIL  permissions  May not create jobs.\n                   -> Apply the role.');
    expect(text).toContain('1 of 2 checks failed.');
    expect(process.exitCode).toBe(1);
    process.exitCode = 0;
    findings = { ...FINDINGS, ok: true, checks: FINDINGS.checks.slice(0, 1) };
    expect(await luthier('doctor')).toContain('Runs can be made here.');
    expect(process.exitCode).toBe(0);
  });

  it('refuses to do anything else', async () => {
    await expect(luthier('repair')).rejects.toThrow(/Allowed choices are show, doctor/);
  });

  it('prints nothing that would steer a terminal', () => {
    const hostile = '\u001b[2Jgone\u0007';
    const checks = FINDINGS.checks.map((check) => ({ ...check, message: hostile }));
    const node = { ...CLUSTER.nodes[0], name: hostile };
    expect(findingsText({ ...FINDINGS, checks })).not.toContain('\u001b');
    expect(clusterText({ ...CLUSTER, nodes: [node as Cluster['nodes'][number]] })).not.toContain('\u001b');
  });
});
