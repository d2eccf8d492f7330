/** Series of promtool: what is there from minute to minute. */
export type Input = Readonly<Record<string, string>>;

export interface AlertCase {
  alert: string;
  /** When it is looked at. */
  at: string;
  /** With these it fires then. */
  fires: Input;
  /** With these, which come near it, it does not. */
  silent: Input;
}

const RUN = 'run_id="r1"';
export const RUN_INFO = `luthier_run_info{${RUN},job_id="j1",method="supervised",tuning="lora",base_model="qwen",project="p"}`;
const POD = 'namespace="tune",pod="ft-1-0"';
export const POD_INFO = `luthier_run_pod_info{${POD},${RUN},node="n1"}`;
const POD_DEVICES = `luthier_run_pod_devices{${POD},${RUN}}`;
const GPU = 'gpu="0",UUID="GPU-a",modelName="H100",Hostname="n1"';

/** Labels of a GPU's figures as they lie in Prometheus: with the pod's own, and where the exporter's pod took their names. */
export const LABEL_FORMS = {
  'pod and namespace': `${GPU},container="node",${POD}`,
  'exported_pod and exported_namespace': `${GPU},pod="dcgm-exporter-x",namespace="gpu-operator",container="exporter",exported_pod="ft-1-0",exported_namespace="tune",exported_container="node"`,
} as const;

const always = (value: number): string => `${value}x90`;
const run = { [RUN_INFO]: always(1), [POD_INFO]: always(1), [POD_DEVICES]: always(1) };
const memory = (gpu: string, usedMib: number): Input => ({
  [`DCGM_FI_DEV_FB_USED{${gpu}}`]: always(usedMib),
  [`DCGM_FI_DEV_FB_FREE{${gpu}}`]: always(81_000 - usedMib),
  [`DCGM_FI_DEV_FB_RESERVED{${gpu}}`]: always(559),
});
const started = (...services: string[]): Input =>
  Object.fromEntries(
    services.map((service) => [`luthier_service_start_time_seconds{service="${service}"}`, always(1)]),
  );
const trains = `luthier_run_last_step_timestamp_seconds{${RUN}}`;
const OTHERS = ['gateway', 'datasets', 'training', 'evaluation', 'registry', 'inference'];

/** Alerts about GPUs, for each of the forms that their labels have. */
export const gpuCases = (gpu: string): AlertCase[] => [
  {
    ...{ alert: 'LuthierGpuMemoryNearlyFull', at: '8m' },
    fires: { ...run, ...memory(gpu, 79_000) },
    silent: { ...run, ...memory(gpu, 70_000) },
  },
  {
    ...{ alert: 'LuthierGpuIdleWhileAllocated', at: '30m' },
    fires: { ...run, [trains]: '0+60x90', [`DCGM_FI_DEV_GPU_UTIL{${gpu}}`]: always(2) },
    // It does not train yet: it loads.
    silent: { ...run, [`DCGM_FI_DEV_GPU_UTIL{${gpu}}`]: always(2) },
  },
  {
    ...{ alert: 'LuthierGpuXidError', at: '1m' },
    fires: { [`DCGM_FI_DEV_XID_ERRORS{${gpu}}`]: always(79) },
    // A fault of the program that ran there.
    silent: { [`DCGM_FI_DEV_XID_ERRORS{${gpu}}`]: always(31) },
  },
  {
    ...{ alert: 'LuthierGpuRowRemapFailure', at: '1m' },
    fires: { [`DCGM_FI_DEV_ROW_REMAP_FAILURE{${gpu}}`]: always(1) },
    silent: { [`DCGM_FI_DEV_ROW_REMAP_FAILURE{${gpu}}`]: always(0) },
  },
  {
    ...{ alert: 'LuthierGpuTooHot', at: '15m' },
    fires: { [`DCGM_FI_DEV_GPU_TEMP{${gpu}}`]: always(88) },
    silent: { [`DCGM_FI_DEV_GPU_TEMP{${gpu}}`]: '80x8 90x2 80x80' },
  },
  {
    ...{ alert: 'LuthierGpuFiguresMissing', at: '15m' },
    fires: { ...run, ...memory(GPU, 1_000) },
    silent: { ...run, ...memory(gpu, 1_000) },
  },
];

export const OTHER_CASES: readonly AlertCase[] = [
  {
    ...{ alert: 'LuthierGpuFiguresMissing', at: '15m' },
    fires: run,
    // A run on processors.
    silent: { ...run, [POD_DEVICES]: always(0) },
  },
  {
    ...{ alert: 'LuthierRunStalled', at: '20m' },
    fires: { ...run, [trains]: always(0) },
    silent: { ...run, [trains]: '0+60x90' },
  },
  {
    ...{ alert: 'LuthierRunPendingTooLong', at: '75m' },
    fires: { luthier_jobs_oldest_waiting_seconds: '0+60x90' },
    silent: { luthier_jobs_oldest_waiting_seconds: '0+30x90' },
  },
  {
    ...{ alert: 'LuthierRunFailureRate', at: '75m' },
    fires: { 'luthier_jobs{status="failed"}': '0+0.1x90', 'luthier_jobs{status="succeeded"}': '7+0.05x90' },
    silent: { 'luthier_jobs{status="failed"}': '0+0.1x90', 'luthier_jobs{status="succeeded"}': '7+0.2x90' },
  },
  // Two that failed are not yet a rate.
  {
    ...{ alert: 'LuthierRunFailureRate', at: '75m' },
    fires: { 'luthier_jobs{status="failed"}': '0x60 6x30', 'luthier_jobs{status="succeeded"}': always(9) },
    silent: { 'luthier_jobs{status="failed"}': '0x60 2x30', 'luthier_jobs{status="succeeded"}': always(9) },
  },
  { alert: 'LuthierTrainerDown', at: '3m', fires: started(...OTHERS), silent: started('trainer') },
  {
    ...{ alert: 'LuthierServiceDown', at: '5m' },
    fires: started('trainer', ...OTHERS.filter((name) => name !== 'registry')),
    silent: started(...OTHERS),
  },
  {
    ...{ alert: 'LuthierTrainerWithoutLeader', at: '5m' },
    fires: { 'luthier_kube_leader{lease="l",pod="a"}': always(0), 'luthier_kube_leader{lease="l",pod="b"}': always(0) },
    silent: {
      'luthier_kube_leader{lease="l",pod="a"}': always(0),
      'luthier_kube_leader{lease="l",pod="b"}': always(1),
    },
  },
  {
    ...{ alert: 'LuthierKubeWatchDown', at: '8m' },
    fires: { 'luthier_kube_watch_connected{resource="pods",namespace="tune",pod="a"}': always(0) },
    silent: {
      'luthier_kube_watch_connected{resource="pods",namespace="tune",pod="a"}': always(0),
      'luthier_kube_watch_connected{resource="pods",namespace="tune",pod="b"}': always(1),
    },
  },
  {
    ...{ alert: 'LuthierNatsConsumerLag', at: '15m' },
    fires: { 'luthier_consumer_pending{consumer="training-runs"}': always(5_000) },
    silent: { 'luthier_consumer_pending{consumer="training-runs"}': '5000x5 100x80' },
  },
  {
    ...{ alert: 'LuthierDeadLetters', at: '22m' },
    fires: { 'luthier_event_handled_total{outcome="dead",service="training",consumer="training"}': '_x20 1x60' },
    silent: { 'luthier_event_handled_total{outcome="dead",service="training",consumer="training"}': always(3) },
  },
  {
    ...{ alert: 'LuthierDeadLetters', at: '22m' },
    fires: { 'luthier_event_handled_total{outcome="dead",service="training",consumer="training"}': '3x20 4x60' },
    silent: { 'luthier_event_handled_total{outcome="handled",service="training",consumer="training"}': '3+1x90' },
  },
  {
    ...{ alert: 'LuthierOutboxFailing', at: '20m' },
    fires: { 'luthier_outbox_failures_total{service="training"}': '0+1x90' },
    silent: { 'luthier_outbox_failures_total{service="training"}': '0x3 4x80' },
  },
  {
    ...{ alert: 'LuthierHttpErrors', at: '20m' },
    fires: {
      'luthier_http_duration_seconds_count{service="gateway",status="503"}': '0+10x90',
      'luthier_http_duration_seconds_count{service="gateway",status="200"}': '0+90x90',
    },
    silent: {
      'luthier_http_duration_seconds_count{service="gateway",status="503"}': '0+1x90',
      'luthier_http_duration_seconds_count{service="gateway",status="200"}': '0+90x90',
      'luthier_http_duration_seconds_count{service="gateway",status="404"}': '0+90x90',
    },
  },
];
