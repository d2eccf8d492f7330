import { connect } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import { AppError } from '@luthier/contracts';

export interface NatsSettings {
  /** e.g. `nats://127.0.0.1:4222`, several separated by commas or as a list. */
  servers: string | readonly string[];
  user?: string;
  pass?: string;
  /** Shown in the server's connection list, and the last part of the inbox prefix that permissions are written for. */
  name: string;
  /** How long the first connection is tried for. @default 30000 */
  firstConnectTimeoutMs?: number;
}

/** Replies come back here; per service, so that no service can read another's answers. */
export const inboxPrefix = (name: string): string => `_INBOX.${name}`;

/**
 * Connects, and reconnects for ever afterwards.
 * @throws AppError `service.unavailable` when no server answers within `firstConnectTimeoutMs`.
 */
export async function connectNats(settings: NatsSettings): Promise<NatsConnection> {
  const deadline = Date.now() + (settings.firstConnectTimeoutMs ?? 30_000);
  const servers = typeof settings.servers === 'string' ? settings.servers.split(',') : [...settings.servers];
  for (;;) {
    try {
      return await connect({
        servers,
        name: settings.name,
        inboxPrefix: inboxPrefix(settings.name),
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        pingInterval: 20_000,
        maxPingOut: 2,
        timeout: 5_000,
        ignoreAuthErrorAbort: true,
        // Else each request takes two stack traces with it, in case it fails: a good part of its cost.
        noAsyncTraces: true,
        ...(settings.user !== undefined && { user: settings.user }),
        ...(settings.pass !== undefined && { pass: settings.pass }),
      });
    } catch (cause) {
      if (Date.now() >= deadline) {
        throw new AppError('service.unavailable', `No NATS server answers at ${servers.join(', ')}`, { cause });
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
