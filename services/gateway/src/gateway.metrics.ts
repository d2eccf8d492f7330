import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

/** What the gateway measures beside the requests themselves (`luthier_http_duration_seconds`). */
export class GatewayMetrics {
  readonly liveStreams: Gauge;
  readonly uploadedBytes: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.liveStreams = new Gauge({
      name: 'luthier_gateway_live_streams',
      help: 'Live streams of jobs that are open.',
      registers,
    });
    this.uploadedBytes = new Counter({
      name: 'luthier_gateway_uploaded_bytes_total',
      help: 'Bytes of files that were uploaded completely.',
      registers,
    });
  }
}
