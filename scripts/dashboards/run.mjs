import { chart, dashboard, mark, number, query, table, valuesOf } from './grafana.mjs';

const RUN = 'run_id="$run_id"';
const GPU = '{{Hostname}} / {{gpu}}';
const ofRun = (metric) => `max by (run_id) (${metric}{${RUN}})`;
const onItsGpus = (metric) =>
  `max by (Hostname, gpu) (${metric}) and on (Hostname, gpu) luthier:run_gpu_memory_used:bytes{${RUN}}`;

/** One run: what it takes beside its plan, how fast it is, and what it learns. */
export const run = dashboard({
  uid: 'luthier-run',
  title: 'Luthier / Run',
  description: 'One run: what it takes beside its plan, how fast it is, and what it learns.',
  variables: [valuesOf('run_id', 'Run', 'luthier_run_info')],
  annotations: [mark('Attempts', `changes(luthier_run_attempt{${RUN}}[1m]) > 0`, 'A new attempt')],
  rows: [
    {
      title: 'Now',
      panels: [
        number(
          'Steps made',
          { unit: 'percentunit' },
          query(`${ofRun('luthier_run_step')} / ${ofRun('luthier_run_total_steps')}`),
        ),
        number('Step', {}, query(ofRun('luthier_run_step'))),
        number('Attempt', { thresholds: [[2, 'yellow']] }, query(ofRun('luthier_run_attempt'))),
        number(
          'Since the last step',
          { unit: 's', thresholds: [[300, 'yellow'], [900, 'red']] }, // prettier-ignore
          query(`luthier:run_last_step_age:seconds{${RUN}}`),
        ),
        number('Tokens a second', {}, query(ofRun('luthier_run_tokens_per_second'))),
        number(
          'Memory beside the plan',
          { unit: 'percentunit', thresholds: [[1, 'red']] },
          query(`max by (run_id) (luthier:run_memory_used:bytes{${RUN}}) / luthier:run_memory_planned:bytes{${RUN}}`),
        ),
        table(
          'What it is',
          {
            height: 3,
            columns: {
              ...{ run_id: 'Run', job_id: 'Job', base_model: 'Base model' },
              ...{ method: 'Method', tuning: 'Tuning', project: 'Project' },
            },
          },
          query(`luthier:run:info{${RUN}}`),
        ),
      ],
    },
    {
      title: 'Memory',
      panels: [
        chart(
          'Memory of each GPU',
          {
            ...{ unit: 'bytes', width: 24, height: 10 },
            description:
              'By DCGM where it runs, else as the runtime counts it. Dashed: the plan, and what the GPU has.',
          },
          query(`luthier:run_memory_used:bytes{${RUN}}`, `{{source}} ${GPU}`),
          query(`luthier:run_memory_planned:bytes{${RUN}}`, 'plan', { dashed: true }),
          query(
            `luthier:gpu_memory_total:bytes and on (Hostname, gpu, UUID, GPU_I_ID) luthier:run_gpu_memory_used:bytes{${RUN}}`,
            `whole ${GPU}`,
            { dashed: true },
          ),
        ),
      ],
    },
    {
      title: 'Learning',
      panels: [
        chart('Loss', { width: 8 }, query(ofRun('luthier_run_loss'), 'loss')),
        chart('Learning rate', { width: 8, unit: 'sci' }, query(ofRun('luthier_run_learning_rate'), 'learning rate')),
        chart('Norm of the gradients', { width: 8 }, query(ofRun('luthier_run_gradient_norm'), 'norm')),
        chart('Tokens a second', {}, query(ofRun('luthier_run_tokens_per_second'), 'tokens/s')),
        chart('Time of a step', { unit: 's' }, query(ofRun('luthier_run_step_seconds'), 'step')),
      ],
    },
    {
      title: 'Its GPUs',
      panels: [
        chart('Utilisation', { unit: 'percentunit', max: 1 }, query(`luthier:run_gpu_utilisation:ratio{${RUN}}`, GPU)),
        chart(
          'Tensor cores at work',
          { unit: 'percentunit', max: 1 },
          query(onItsGpus('DCGM_FI_PROF_PIPE_TENSOR_ACTIVE'), GPU),
        ),
        chart(
          'Clock',
          { unit: 'hertz', description: 'It falls where the GPU slows itself down: for heat, or for want of power.' },
          query(`1000000 * (${onItsGpus('DCGM_FI_DEV_SM_CLOCK')})`, GPU),
        ),
        chart(
          'Throttling',
          { description: 'Events of the last minute by reason; needs DCGM_EXP_CLOCK_EVENTS_COUNT.' },
          query(
            'max by (Hostname, gpu, clock_event) (DCGM_EXP_CLOCK_EVENTS_COUNT) ' +
              `and on (Hostname, gpu) luthier:run_gpu_memory_used:bytes{${RUN}}`,
            `${GPU} {{clock_event}}`,
          ),
        ),
        chart(
          'Over PCIe',
          { unit: 'Bps' },
          query(onItsGpus('DCGM_FI_PROF_PCIE_RX_BYTES'), `in ${GPU}`),
          query(onItsGpus('DCGM_FI_PROF_PCIE_TX_BYTES'), `out ${GPU}`),
        ),
        chart('Attempts', {}, query(ofRun('luthier_run_attempt'), 'attempt')),
        table(
          'Pods',
          { columns: { train_namespace: 'Namespace', train_pod: 'Pod', node: 'Node' } },
          query(`luthier:run_pod:info{${RUN}}`),
        ),
      ],
    },
  ],
});
