import { chart, dashboard, number, query } from './grafana.mjs';

const RATE = '[$__rate_interval]';
const SERVICES = 'container=~"gateway|datasets|training|trainer|evaluation|registry|inference"';
const p95 = (metric, by) => `histogram_quantile(0.95, sum by (le, ${by}) (rate(${metric}_bucket${RATE})))`;
const perSecond = (series, by) => `sum by (${by}) (rate(${series}${RATE}))`;

/** Luthier itself: its services and what they stand on. */
export const platform = dashboard({
  uid: 'luthier-platform',
  title: 'Luthier / Platform',
  description: 'Luthier itself: rate, errors and durations of its services, and what they stand on.',
  rows: [
    {
      title: 'Services',
      panels: [
        number(
          'Up since',
          { unit: 's', width: 24 },
          query('time() - max by (service) (luthier_service_start_time_seconds)', '{{service}}'),
        ),
      ],
    },
    {
      title: 'HTTP',
      panels: [
        chart(
          'Requests by status',
          { unit: 'reqps', width: 8 },
          query(perSecond('luthier_http_duration_seconds_count', 'status'), '{{status}}'),
        ),
        chart(
          'Faults of the platform',
          { unit: 'percentunit', width: 8 },
          query(
            `(${perSecond('luthier_http_duration_seconds_count{status=~"5.."}', 'service')} or 0 * ${perSecond('luthier_http_duration_seconds_count', 'service')}) / ${perSecond('luthier_http_duration_seconds_count', 'service')}`,
            '{{service}}',
          ),
        ),
        chart(
          'Time of 95 of 100 requests',
          { unit: 's', width: 8 },
          query(`topk(10, ${p95('luthier_http_duration_seconds', 'route')})`, '{{route}}'),
        ),
        chart('Live streams', {}, query('sum by (service) (luthier_gateway_live_streams)', 'open')),
        chart('Uploads', { unit: 'Bps' }, query(`sum(rate(luthier_gateway_uploaded_bytes_total${RATE}))`, 'bytes/s')),
      ],
    },
    {
      title: 'Requests between services',
      panels: [
        chart(
          'Requests by who answers',
          { unit: 'reqps', width: 8 },
          query(perSecond('luthier_rpc_duration_seconds_count', 'service'), '{{service}}'),
        ),
        chart(
          'Errors by code',
          { unit: 'reqps', width: 8 },
          query(perSecond('luthier_rpc_duration_seconds_count{code!="ok"}', 'service, code'), '{{service}} {{code}}'),
        ),
        chart(
          'Time of 95 of 100',
          { unit: 's', width: 8 },
          query(p95('luthier_rpc_duration_seconds', 'service'), '{{service}}'),
        ),
      ],
    },
    {
      title: 'Events',
      panels: [
        chart(
          'Messages still to be read',
          { width: 8 },
          query('max by (consumer) (luthier_consumer_pending)', '{{consumer}}'),
        ),
        chart(
          'In hand, and come more than once',
          { width: 8 },
          query('max by (consumer) (luthier_consumer_unacknowledged)', '{{consumer}}'),
          query('max by (consumer) (luthier_consumer_redelivered)', '{{consumer}} again'),
        ),
        chart(
          'Deliveries by outcome',
          { unit: 'ops', width: 8, description: 'Any dead one deserves a look.' },
          query(perSecond('luthier_event_handled_total', 'consumer, outcome'), '{{consumer}} {{outcome}}'),
        ),
        chart(
          'Failures to publish',
          { unit: 'ops' },
          query(perSecond('luthier_outbox_failures_total', 'service'), '{{service}}'),
        ),
        chart(
          'Connections to the database',
          {},
          query('sum by (service, state) (luthier_database_connections)', '{{service}} {{state}}'),
        ),
      ],
    },
    {
      title: 'Trainer and cluster',
      panels: [
        chart('Runs by phase', {}, query('max by (phase) (luthier_trainer_runs)', '{{phase}}')),
        chart(
          'Time of 95 of 100 steps of runs',
          { unit: 's' },
          query(p95('luthier_trainer_reconcile_duration_seconds', 'action'), '{{action}}'),
        ),
        chart(
          'Steps that failed, and that only a list led to',
          { unit: 'ops' },
          query(`sum(rate(luthier_trainer_reconcile_errors_total${RATE}))`, 'failed'),
          query(`sum(rate(luthier_trainer_corrections_total${RATE}))`, 'by a list'),
        ),
        chart(
          'Requests to the Kubernetes API',
          { unit: 'reqps' },
          query(perSecond('luthier_kube_requests_total', 'verb, outcome'), '{{verb}} {{outcome}}'),
        ),
        chart(
          'Age of what is known of the cluster',
          { unit: 's' },
          query('min by (resource) (luthier_kube_last_sync_age_seconds)', '{{resource}}'),
        ),
        chart(
          'Watches that are open, and who leads',
          { max: 2 },
          query('max by (resource) (luthier_kube_watch_connected)', '{{resource}}'),
          query('sum by (lease) (luthier_kube_leader)', 'leaders of {{lease}}'),
        ),
      ],
    },
    {
      title: 'Answers and processes',
      panels: [
        chart(
          'Tokens generated a second of work',
          {},
          query(
            `sum(rate(luthier_inference_generated_tokens_total${RATE})) / sum(rate(luthier_inference_generation_seconds_total${RATE}))`,
            'tokens/s',
          ),
        ),
        chart(
          'Requests for answers that run or wait',
          {},
          query('sum(luthier_inference_requests_in_queue)', 'requests'),
        ),
        chart('Memory', { unit: 'bytes', width: 8 }, query(`process_resident_memory_bytes{${SERVICES}}`, '{{pod}}')),
        chart('Processors', { width: 8 }, query(`rate(process_cpu_seconds_total{${SERVICES}}${RATE})`, '{{pod}}')),
        chart(
          'Lag of the event loop (99 of 100)',
          { unit: 's', width: 8 },
          query(`nodejs_eventloop_lag_p99_seconds{${SERVICES}}`, '{{pod}}'),
        ),
      ],
    },
  ],
});
