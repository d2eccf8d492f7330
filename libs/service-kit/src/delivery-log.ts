import { AppError } from '@luthier/contracts';
import type { DeliveryObserver } from '@luthier/messaging';
import { logWideEvent } from './logger.js';
import type { Logger } from './logger.js';
import type { ServiceMetrics } from './metrics.js';

/** The last but one token of a run's subject is its id: too many values for a label. */
const labelOf = (subject: string): string => subject.replace(/run-[a-z0-9]{20}/, '*');

/** Logs and measures every delivery of an event. Lines of runs that went well are debug: there are very many. */
export function deliveryLog(logger: Logger, metrics: ServiceMetrics): DeliveryObserver {
  return {
    delivered({ consumer, delivery, outcome, durationMs, cause }) {
      const subject = labelOf(delivery.subject);
      metrics.eventHandled.inc({ consumer, subject, outcome });
      metrics.eventDuration.observe({ consumer, subject }, durationMs / 1_000);
      const ok = outcome === 'handled' || outcome === 'ignored';
      if (ok && subject !== delivery.subject) return;
      logWideEvent(logger, {
        op: subject,
        ok,
        durationMs,
        consumer,
        outcome,
        eventId: delivery.eventId,
        deliveryCount: delivery.deliveryCount,
        ...(cause instanceof AppError && { errorCode: cause.code }),
        ...(cause !== undefined && { cause }),
      });
    },
  };
}
