import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeGpu {
  gpu: string;
  uuid: string;
  usedMib: number;
  /** Last XID; 0: none. */
  xid: number;
  /** The pod that holds it. */
  pod?: { namespace: string; name: string };
}

/** As small as what the tests train, so that its plan can be seen beside it. */
const MODEL = 'Stand-in 256 MiB';
const TOTAL_MIB = 256;
const RESERVED_MIB = 6;

/** Name, type and what it says of a GPU that works while `usedMib` of it are used. */
const COUNTERS: readonly [name: string, type: 'gauge' | 'counter', help: string, value: (gpu: FakeGpu) => number][] = [
  ['DCGM_FI_DEV_SM_CLOCK', 'gauge', 'SM clock frequency (in MHz).', () => 1_755],
  ['DCGM_FI_DEV_MEM_CLOCK', 'gauge', 'Memory clock frequency (in MHz).', () => 2_619],
  ['DCGM_FI_DEV_MEMORY_TEMP', 'gauge', 'Memory temperature (in C).', () => 58],
  ['DCGM_FI_DEV_GPU_TEMP', 'gauge', 'GPU temperature (in C).', ({ pod }) => (pod ? 61 : 33)],
  ['DCGM_FI_DEV_POWER_USAGE', 'gauge', 'Power draw (in W).', ({ pod }) => (pod ? 540.5 : 71.2)],
  ['DCGM_FI_DEV_GPU_UTIL', 'gauge', 'GPU utilization (in %).', ({ pod }) => (pod ? 96 : 0)],
  ['DCGM_FI_DEV_MEM_COPY_UTIL', 'gauge', 'Memory utilization (in %).', ({ pod }) => (pod ? 51 : 0)],
  ['DCGM_FI_DEV_XID_ERRORS', 'gauge', 'Value of the last XID error encountered.', ({ xid }) => xid],
  [
    'DCGM_FI_DEV_FB_FREE',
    'gauge',
    'Framebuffer memory free (in MiB).',
    (gpu) => TOTAL_MIB - RESERVED_MIB - gpu.usedMib,
  ],
  ['DCGM_FI_DEV_FB_USED', 'gauge', 'Framebuffer memory used (in MiB).', ({ usedMib }) => usedMib],
  ['DCGM_FI_DEV_FB_RESERVED', 'gauge', 'Framebuffer memory reserved (in MiB).', () => RESERVED_MIB],
  ['DCGM_FI_DEV_ROW_REMAP_FAILURE', 'gauge', 'Whether remapping of rows has failed', () => 0],
  [
    'DCGM_FI_PROF_PIPE_TENSOR_ACTIVE',
    'gauge',
    'Ratio of cycles the tensor pipe is active.',
    ({ pod }) => (pod ? 0.44 : 0),
  ],
  ['DCGM_FI_PROF_PCIE_TX_BYTES', 'gauge', 'The rate of data transmitted over the PCIe bus.', () => 41_000_000],
  ['DCGM_FI_PROF_PCIE_RX_BYTES', 'gauge', 'The rate of data received over the PCIe bus.', () => 63_000_000],
];

/** The two figures of Kueue that a dashboard shows, as its controller serves them. */
const KUEUE = `# HELP kueue_cluster_queue_nominal_quota Reports the cluster_queue's resource nominal quota within all the flavors
# TYPE kueue_cluster_queue_nominal_quota gauge
kueue_cluster_queue_nominal_quota{cluster_queue="research",cohort="",flavor="h100",replica_role="standalone",resource="nvidia.com/gpu"} 16
# HELP kueue_cluster_queue_resource_usage Reports the cluster_queue's total resource usage within all the flavors
# TYPE kueue_cluster_queue_resource_usage gauge
kueue_cluster_queue_resource_usage{cluster_queue="research",cohort="",flavor="h100",replica_role="standalone",resource="nvidia.com/gpu"} 12
`;

/** What dcgm-exporter serves on each node under `/<node>/metrics`, with pods as the kubelet names them, and Kueue under `/kueue`. */
export class FakeExporters {
  private readonly nodes = new Map<string, readonly FakeGpu[]>();

  private constructor(private readonly http: Server) {}

  static async start(): Promise<FakeExporters> {
    const http = createServer();
    const exporters = new FakeExporters(http);
    http.on('request', ({ url = '' }, response) => {
      const [, node = ''] = url.split('/');
      response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
      response.end(node === 'kueue' ? KUEUE : exporters.textOf(node));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return exporters;
  }

  get address(): string {
    return `127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  show(node: string, gpus: readonly FakeGpu[]): void {
    this.nodes.set(node, gpus);
  }

  async stop(): Promise<void> {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  private textOf(node: string): string {
    const gpus = this.nodes.get(node) ?? [];
    const labelsOf = ({ gpu, uuid, pod }: FakeGpu, more = ''): string =>
      `gpu="${gpu}",UUID="${uuid}",pci_bus_id="00000000:0${gpu}:00.0",device="nvidia${gpu}",modelName="${MODEL}",` +
      `Hostname="${node}",DCGM_FI_DRIVER_VERSION="580.95.05"${more}` +
      (pod ? `,container="node",namespace="${pod.namespace}",pod="${pod.name}"` : '');
    const families = COUNTERS.map(([name, type, help, value]) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...gpus.map((gpu) => `${name}{${labelsOf(gpu)}} ${value(gpu)}`),
      ].join('\n'),
    );
    const slowed = gpus.map(
      (gpu) =>
        `DCGM_EXP_CLOCK_EVENTS_COUNT{${labelsOf(gpu, ',clock_event="sw_power_cap",window_size_in_ms="60000"')}} 3`,
    );
    const events = '# HELP DCGM_EXP_CLOCK_EVENTS_COUNT Count of clock events within the user-specified time window.';
    return `${[...families, events, '# TYPE DCGM_EXP_CLOCK_EVENTS_COUNT gauge', ...slowed].join('\n')}\n`;
  }
}
