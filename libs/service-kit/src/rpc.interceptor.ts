import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { NatsContext } from '@nestjs/microservices';
import { Observable, finalize, tap, throwError } from 'rxjs';
import { AppError } from '@luthier/contracts';
import { REQUEST_ID_HEADER, RequestFailure } from '@luthier/messaging';
import { logWideEvent } from './logger.js';
import type { Logger } from './logger.js';
import type { ServiceMetrics } from './metrics.js';
import { endSpan, traceIdOf, within } from './tracing.js';
import type { Tracing } from './tracing.js';

/** Beyond this many a request is refused at once: the caller can retry, a growing heap cannot. */
const MAX_IN_FLIGHT = 256;

interface HeaderMap {
  get(name: string): string;
}

/** Logs, measures and traces every request that arrives over NATS. */
export class RpcInterceptor implements NestInterceptor {
  private inFlight = 0;

  constructor(
    private readonly logger: Logger,
    private readonly metrics: ServiceMetrics,
    private readonly tracing: Tracing,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'rpc') return next.handle();
    const nats = context.switchToRpc().getContext<NatsContext>();
    const started = performance.now();
    const subject = nats.getSubject();
    const headers = nats.getHeaders() as HeaderMap | undefined;
    const requestId = headers?.get(REQUEST_ID_HEADER);
    const span = this.tracing.arrived(
      subject,
      { traceparent: headers?.get('traceparent') },
      { 'messaging.system': 'nats', 'messaging.destination.name': subject },
    );
    const finish = (failure?: unknown): void => {
      const durationMs = performance.now() - started;
      const error = failure instanceof RequestFailure ? failure.appError : undefined;
      const errorCode = failure === undefined ? undefined : (error?.code ?? 'internal');
      endSpan(span, errorCode);
      this.metrics.rpcDuration.observe({ subject, code: errorCode ?? 'ok' }, durationMs / 1_000);
      const cause: unknown = errorCode === 'internal' ? (error?.cause ?? failure) : undefined;
      logWideEvent(this.logger, {
        op: subject,
        ok: errorCode === undefined,
        durationMs,
        ...(requestId && { requestId }),
        ...traceIdOf(span),
        ...(errorCode !== undefined && { errorCode, message: error?.message }),
        ...(cause !== undefined && { cause }),
      });
    };
    if (this.inFlight >= MAX_IN_FLIGHT) {
      const failure = new RequestFailure(
        new AppError('service.unavailable', 'The service has too much to do at the moment'),
      );
      finish(failure);
      return throwError(() => failure);
    }
    this.inFlight++;
    // The handler runs when it is subscribed to.
    const handled = new Observable<unknown>((subscriber) => within(span, () => next.handle().subscribe(subscriber)));
    return handled.pipe(
      tap({ complete: () => finish(), error: finish }),
      finalize(() => this.inFlight--),
    );
  }
}
