import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  StorageType,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { JetStreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { nanos } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import { CONSUMERS, RUNS_BUCKET, STREAMS } from '@luthier/contracts';
import type { ConsumerSpec, StreamSpec } from '@luthier/contracts';

export interface ProvisionOptions {
  /** Copies of every stream; at most the number of servers. @default 1 */
  replicas?: 1 | 3 | 5;
}

export interface Provisioned {
  /** Names of what did not exist before. */
  created: string[];
  /** Names of what was there already and was brought to the table's values. */
  updated: string[];
}

/** The server's own error codes. */
const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;

const RUNS_BUCKET_BYTES = 256 * 1024 * 1024;

/**
 * Brings streams, consumers and the key-value bucket to what contracts' table says. Safe to repeat and to run from two
 * places at once. Needs a user with JetStream's API; services themselves only bind.
 */
export async function provision(connection: NatsConnection, options: ProvisionOptions = {}): Promise<Provisioned> {
  const manager = await jetstreamManager(connection);
  const done: Provisioned = { created: [], updated: [] };
  const note = (name: string, existed: boolean): void => void (existed ? done.updated : done.created).push(name);
  for (const spec of STREAMS) note(spec.name, await putStream(manager, spec, options.replicas ?? 1));
  const bucketExisted = await exists(() => manager.streams.info(`KV_${RUNS_BUCKET}`), STREAM_NOT_FOUND);
  await new Kvm(connection).create(RUNS_BUCKET, {
    history: 1,
    replicas: options.replicas ?? 1,
    max_bytes: RUNS_BUCKET_BYTES,
    storage: StorageType.File,
  });
  note(RUNS_BUCKET, bucketExisted);
  for (const spec of CONSUMERS) note(`${spec.stream}/${spec.name}`, await putConsumer(manager, spec));
  return done;
}

async function putStream(manager: JetStreamManager, spec: StreamSpec, replicas: number): Promise<boolean> {
  const config = {
    subjects: [...spec.subjects],
    max_age: nanos(spec.maxAgeMs),
    max_bytes: spec.maxBytes,
    max_msg_size: spec.maxMessageBytes,
    discard: spec.discard === 'new' ? DiscardPolicy.New : DiscardPolicy.Old,
    duplicate_window: nanos(spec.duplicateWindowMs),
    num_replicas: replicas,
  };
  const existed = await exists(() => manager.streams.info(spec.name), STREAM_NOT_FOUND);
  if (existed) await manager.streams.update(spec.name, config);
  else await manager.streams.add({ name: spec.name, storage: StorageType.File, ...config });
  return existed;
}

async function putConsumer(manager: JetStreamManager, spec: ConsumerSpec): Promise<boolean> {
  const config = {
    filter_subjects: [...spec.filterSubjects],
    ack_wait: nanos(spec.ackWaitMs),
    max_deliver: spec.maxDeliver,
    max_ack_pending: spec.maxAckPending,
  };
  const existed = await exists(() => manager.consumers.info(spec.stream, spec.name), CONSUMER_NOT_FOUND);
  if (existed) {
    await manager.consumers.update(spec.stream, spec.name, config);
  } else {
    await manager.consumers.add(spec.stream, {
      durable_name: spec.name,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ...config,
    });
  }
  return existed;
}

async function exists(look: () => Promise<unknown>, absentCode: number): Promise<boolean> {
  try {
    await look();
    return true;
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.code === absentCode) return false;
    throw cause;
  }
}
