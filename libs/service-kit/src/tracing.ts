import { SpanKind, SpanStatusCode, context, isSpanContextValid, propagation, trace } from '@opentelemetry/api';
import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';

const EXPORT_TIMEOUT_MS = 10_000;

export interface TracingOptions {
  service: string;
  /** Where spans go, OTLP over HTTP, e.g. `http://collector:4318`; without it none are made. */
  url?: string;
  /** Of the traces that begin here, the share that is kept: 0 to 1. */
  share?: number;
}

/** Something that has ended already, as a span. */
export interface PastSpan {
  name: string;
  /** The `traceparent` under which it is shown. */
  parent: string;
  startedAt: string;
  endedAt: string;
  attributes: Attributes;
  /** Code of the error that ended it. */
  errorCode?: string | undefined;
}

/**
 * Traces of one service (OpenTelemetry), if wanted: requests over HTTP and NATS are spans of one trace (W3C Trace Context in
 * their headers), and what becomes of a request later is shown under it. Spans go out in batches beside the work; those that
 * the collector does not take are lost.
 */
export class Tracing {
  private readonly provider: TracerProvider | undefined;
  private readonly tracer: Tracer | undefined;

  constructor({ service, url, share = 1 }: TracingOptions) {
    if (url === undefined) return;
    followAsyncWork();
    const exporter = new OTLPTraceExporter({
      url: `${url.replace(/\/$/, '')}/v1/traces`,
      timeoutMillis: EXPORT_TIMEOUT_MS,
    });
    this.provider = new TracerProvider({
      resource: resourceFromAttributes({ 'service.namespace': 'luthier', 'service.name': service }),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
      spanProcessors: [new BatchSpanProcessor({ exporter })],
    });
    this.tracer = this.provider.getTracer('luthier');
  }

  /** Begins the span of a request that has arrived; undefined where nothing is traced. */
  arrived(name: string, headers: Readonly<Record<string, unknown>>, attributes: Attributes): Span | undefined {
    return this.tracer?.startSpan(name, { kind: SpanKind.SERVER, attributes }, propagation.extract(ROOT, headers));
  }

  /** What has happened since, under the trace of what began it. */
  record({ name, parent, startedAt, endedAt, attributes, errorCode }: PastSpan): void {
    const at = { startTime: new Date(startedAt), attributes };
    const span = this.tracer?.startSpan(name, at, propagation.extract(ROOT, { traceparent: parent }));
    if (errorCode !== undefined) span?.setStatus({ code: SpanStatusCode.ERROR, message: errorCode });
    span?.end(new Date(endedAt));
  }

  /** The span that work is done for now, as a `traceparent`; null when there is none. */
  current(): string | null {
    const span = trace.getSpanContext(context.active());
    if (!span || !isSpanContextValid(span)) return null;
    return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
  }

  /** Sends what is left. */
  async stop(): Promise<void> {
    await this.provider?.shutdown();
  }
}

const ROOT: Context = context.active();

/** Does `work` for the span: requests that it makes name it. */
export const within = <T>(span: Span | undefined, work: () => T): T =>
  span ? context.with(trace.setSpan(context.active(), span), work) : work();

/** For the log; absent where nothing is traced. */
export const traceIdOf = (span: Span | undefined): { traceId?: string } =>
  span ? { traceId: span.spanContext().traceId } : {};

export function endSpan(span: Span | undefined, errorCode?: string): void {
  if (errorCode !== undefined) span?.setStatus({ code: SpanStatusCode.ERROR, message: errorCode });
  span?.end();
}

/** Once for a process, whose services may be several. */
function followAsyncWork(): void {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
}
