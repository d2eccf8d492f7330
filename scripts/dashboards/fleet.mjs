import { chart, dashboard, number, query, table } from './grafana.mjs';

const GPU = '{{Hostname}} / {{gpu}}';
const byGpu = (metric) => `max by (Hostname, gpu) (${metric})`;
const ofGpu = 'on (Hostname, gpu, UUID, GPU_I_ID) group_left ()';

/** What there is, who has it, and how it is. */
export const fleet = dashboard({
  uid: 'luthier-fleet',
  title: 'Luthier / Fleet',
  description: 'GPUs, nodes and the queue: what there is, who has it, and how it is.',
  rows: [
    {
      title: 'Now',
      panels: [
        number('GPUs', {}, query('sum(max by (product, resource) (luthier_trainer_devices{state="total"}))')),
        number(
          'GPUs taken',
          {},
          query(
            'sum(max by (product, resource) (luthier_trainer_devices{state="total"})) - sum(max by (product, resource) (luthier_trainer_devices{state="free"}))',
          ),
        ),
        number(
          'GPU memory used',
          { unit: 'percentunit' },
          query('sum(luthier:gpu_memory_used:bytes) / sum(luthier:gpu_memory_total:bytes)'),
        ),
        number('Runs under way', {}, query('count(luthier:run:info) or vector(0)')),
        number('Jobs in the queue', {}, query('luthier:jobs:count{status="queued"}')),
        number(
          'Longest wait',
          { unit: 's', thresholds: [[900, 'yellow'], [3600, 'red']] }, // prettier-ignore
          query('max(luthier_jobs_oldest_waiting_seconds)'),
        ),
      ],
    },
    {
      title: 'GPUs',
      panels: [
        chart(
          'Memory of each GPU',
          { unit: 'bytes', description: 'Used, and the whole of it as a dashed line.' },
          query('luthier:gpu_memory_used:bytes', `${GPU} {{train_pod}}`),
          query('luthier:gpu_memory_total:bytes', `whole ${GPU}`, { dashed: true }),
        ),
        chart(
          'Share of the memory that is used',
          { unit: 'percentunit', max: 1, thresholds: [[0.95, 'red']] },
          query(`luthier:gpu_memory_used:bytes / ${ofGpu} luthier:gpu_memory_total:bytes`, GPU),
        ),
        chart('Utilisation', { unit: 'percentunit', max: 1 }, query('luthier:gpu_utilisation:ratio', GPU)),
        chart(
          'Tensor cores at work',
          { unit: 'percentunit', max: 1, description: 'Needs the profiling counters of dcgm-exporter.' },
          query(byGpu('DCGM_FI_PROF_PIPE_TENSOR_ACTIVE'), GPU),
        ),
        chart(
          'Temperature',
          { unit: 'celsius', thresholds: [[85, 'red']] },
          query(byGpu('DCGM_FI_DEV_GPU_TEMP'), GPU),
          query(byGpu('DCGM_FI_DEV_MEMORY_TEMP'), `memory ${GPU}`),
        ),
        chart('Power', { unit: 'watt' }, query(byGpu('DCGM_FI_DEV_POWER_USAGE'), GPU)),
        table(
          'Last XID of each GPU that had one',
          { columns: { Hostname: 'Node', gpu: 'GPU', modelName: 'Model', UUID: 'UUID', Value: 'XID' } },
          query('max by (Hostname, gpu, UUID, modelName) (DCGM_FI_DEV_XID_ERRORS) > 0'),
        ),
      ],
    },
    {
      title: 'Places and the queue',
      panels: [
        chart(
          'Devices by kind',
          {},
          query('max by (product, resource) (luthier_trainer_devices{state="free"})', '{{product}} free'),
          query('max by (product, resource) (luthier_trainer_devices{state="total"})', '{{product}} in all'),
        ),
        chart(
          'Host memory that is taken',
          { unit: 'bytes' },
          query(
            'max by (node) (luthier_trainer_node_memory_bytes{state="total"}) - max by (node) (luthier_trainer_node_memory_bytes{state="free"})',
            '{{node}}',
          ),
        ),
        chart('Jobs by status', {}, query('luthier:jobs:count', '{{status}}')),
        chart(
          'Wait for a place (95 of 100 jobs)',
          { unit: 's' },
          query(
            'histogram_quantile(0.95, sum by (le) (rate(luthier_job_wait_seconds_bucket[$__rate_interval])))',
            'p95',
          ),
        ),
        chart(
          'Quota in use (Kueue)',
          { unit: 'percentunit', width: 24 },
          query(
            'max by (cluster_queue, flavor, resource) (kueue_cluster_queue_resource_usage) / max by (cluster_queue, flavor, resource) (kueue_cluster_queue_nominal_quota)',
            '{{cluster_queue}} {{flavor}} {{resource}}',
          ),
        ),
        table(
          'Memory of the runs under way',
          {
            ...{ unit: 'bytes', height: 8 },
            columns: {
              ...{ run_id: 'Run', base_model: 'Base model', method: 'Method', project: 'Project' },
              ...{ Hostname: 'Node', gpu: 'GPU', source: 'Told by', Value: 'Memory' },
            },
          },
          query('luthier:run_memory_used:bytes'),
        ),
      ],
    },
  ],
});
