import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { and, asc, inArray, isNotNull, lt, sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { Client } from 'pg';
import { EVENT_STREAM } from '@luthier/contracts';
import { OUTBOX_CHANNEL } from './outbox.js';
import type { InboxTable, OutboxTable } from './outbox.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** As long as the stream itself keeps events: what NATS loses can be published again. */
export const OUTBOX_KEPT_MS = 14 * DAY_MS;
/** Longer than any republication can reach back. */
export const INBOX_KEPT_MS = 30 * DAY_MS;
const BATCH = 100;
/** Short, as rows are locked meanwhile. */
const PUBLISH_TIMEOUT_MS = 2_000;

export interface OutboxRelayOptions<Schema extends Record<string, unknown> = Record<string, never>> {
  database: NodePgDatabase<Schema>;
  connection: NatsConnection;
  outbox: OutboxTable;
  inbox?: InboxTable;
  /** Where to LISTEN; without it new rows are found by polling alone. */
  databaseUrl?: string;
  /** @default 1000 */
  pollIntervalMs?: number;
  /** How often the stream's creation time is looked at besides reconnects and failures. @default 60000 */
  streamCheckIntervalMs?: number;
  onError?: (cause: unknown) => void;
}

/**
 * Publishes outbox rows in order, with the event id as `Nats-Msg-Id`. A row counts as published only in the stream that
 * is there now: when that was emptied and made anew, everything of the last 14 days goes out again. Several replicas may
 * run; rows are locked while they are published.
 */
export class OutboxRelay<Schema extends Record<string, unknown> = Record<string, never>> {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private working: Promise<void> = Promise.resolve();
  private wanted = false;
  private connected = true;
  private stream: string | undefined;
  private streamCheckedAt = 0;
  private prunedAt = 0;
  private listener: Client | undefined;

  constructor(private readonly options: OutboxRelayOptions<Schema>) {}

  start(): void {
    void this.watchConnection();
    void this.listen();
    this.tick();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.working;
    await this.listener?.end().catch(() => undefined);
  }

  /** Looks for rows now rather than at the next poll. */
  kick(): void {
    if (this.stopped || this.wanted) return;
    this.wanted = true;
    this.working = this.working.then(() => this.drain());
  }

  private tick(): void {
    this.kick();
    if (!this.stopped) this.timer = setTimeout(() => this.tick(), this.options.pollIntervalMs ?? 1_000);
  }

  private async drain(): Promise<void> {
    this.wanted = false;
    if (!this.connected) return; // the reconnect kicks
    try {
      const stream = await this.currentStream();
      while (!this.stopped && (await this.publishBatch(stream)) === BATCH);
      await this.prune();
    } catch (cause) {
      this.stream = undefined; // it may be another one when it is back
      if (!this.stopped) this.options.onError?.(cause);
    }
  }

  private async currentStream(): Promise<string> {
    const age = Date.now() - this.streamCheckedAt;
    if (this.stream === undefined || age > (this.options.streamCheckIntervalMs ?? 60_000)) {
      const manager = await jetstreamManager(this.options.connection, { checkAPI: false, timeout: PUBLISH_TIMEOUT_MS });
      this.stream = (await manager.streams.info(EVENT_STREAM)).created;
      this.streamCheckedAt = Date.now();
    }
    return this.stream;
  }

  private publishBatch(stream: string): Promise<number> {
    const { database, connection, outbox } = this.options;
    const js = jetstream(connection);
    return database.transaction(async (tx) => {
      const rows = await tx
        .select({ id: outbox.id, subject: outbox.subject, payload: outbox.payload })
        .from(outbox)
        .where(sql`${outbox.publishedStream} is distinct from ${stream}`)
        .orderBy(asc(outbox.seq))
        .limit(BATCH)
        .for('update', { skipLocked: true });
      const done: string[] = [];
      let failure: unknown;
      for (const row of rows) {
        try {
          await js.publish(row.subject, JSON.stringify(row.payload), { msgID: row.id, timeout: PUBLISH_TIMEOUT_MS });
          done.push(row.id);
        } catch (cause) {
          failure = cause;
          break; // order: nothing overtakes the row that could not go out
        }
      }
      if (done.length > 0) {
        await tx
          .update(outbox)
          .set({ publishedStream: stream, publishedAt: sql`coalesce(${outbox.publishedAt}, now())` })
          .where(inArray(outbox.id, done));
      }
      if (failure !== undefined) {
        this.stream = undefined;
        this.options.onError?.(failure);
        return done.length === BATCH ? 0 : done.length;
      }
      return rows.length;
    });
  }

  /** Once an hour. */
  private async prune(): Promise<void> {
    if (Date.now() - this.prunedAt < 60 * 60 * 1000) return;
    this.prunedAt = Date.now();
    const { database, outbox, inbox } = this.options;
    const before = (ageMs: number): Date => new Date(Date.now() - ageMs);
    await database
      .delete(outbox)
      .where(and(isNotNull(outbox.publishedAt), lt(outbox.publishedAt, before(OUTBOX_KEPT_MS))));
    if (inbox) await database.delete(inbox).where(lt(inbox.handledAt, before(INBOX_KEPT_MS)));
  }

  private async watchConnection(): Promise<void> {
    for await (const status of this.options.connection.status()) {
      if (this.stopped) return;
      if (status.type === 'disconnect') this.connected = false;
      if (status.type !== 'reconnect') continue;
      this.connected = true;
      this.stream = undefined;
      this.kick();
    }
  }

  private async listen(): Promise<void> {
    const { databaseUrl } = this.options;
    if (databaseUrl === undefined || this.stopped) return;
    const client = new Client({ connectionString: databaseUrl, application_name: 'luthier-outbox' });
    this.listener = client;
    let lost = false;
    const again = (): void => {
      if (lost || this.stopped) return;
      lost = true;
      client.end().catch(() => undefined);
      setTimeout(() => void this.listen(), 1_000).unref(); // until then polling finds the rows
    };
    client.on('error', again);
    client.on('end', again);
    client.on('notification', () => this.kick());
    try {
      await client.connect();
      await client.query(`listen ${OUTBOX_CHANNEL}`);
    } catch {
      again();
    }
  }
}
