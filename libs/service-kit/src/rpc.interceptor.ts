import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { NatsContext } from '@nestjs/microservices';
import { finalize, tap, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import { AppError } from '@luthier/contracts';
import { REQUEST_ID_HEADER, RequestFailure } from '@luthier/messaging';
import { logWideEvent } from './logger.js';
import type { Logger } from './logger.js';
import type { ServiceMetrics } from './metrics.js';

/** Beyond this many a request is refused at once: the caller can retry, a growing heap cannot. */
const MAX_IN_FLIGHT = 256;

interface HeaderMap {
  get(name: string): string;
}

/** Logs and measures every request that arrives over NATS. */
export class RpcInterceptor implements NestInterceptor {
  private inFlight = 0;

  constructor(
    private readonly logger: Logger,
    private readonly metrics: ServiceMetrics,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'rpc') return next.handle();
    const nats = context.switchToRpc().getContext<NatsContext>();
    const started = performance.now();
    const subject = nats.getSubject();
    const requestId = (nats.getHeaders() as HeaderMap | undefined)?.get(REQUEST_ID_HEADER);
    const finish = (failure?: unknown): void => {
      const durationMs = performance.now() - started;
      const error = failure instanceof RequestFailure ? failure.appError : undefined;
      const errorCode = failure === undefined ? undefined : (error?.code ?? 'internal');
      this.metrics.rpcDuration.observe({ subject, code: errorCode ?? 'ok' }, durationMs / 1_000);
      const cause: unknown = errorCode === 'internal' ? (error?.cause ?? failure) : undefined;
      logWideEvent(this.logger, {
        op: subject,
        ok: errorCode === undefined,
        durationMs,
        ...(requestId && { requestId }),
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
    return next.handle().pipe(
      tap({ complete: () => finish(), error: finish }),
      finalize(() => this.inFlight--),
    );
  }
}
