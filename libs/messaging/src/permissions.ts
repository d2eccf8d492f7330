import {
  CALLS,
  CONSUMERS,
  EVENT_STREAM,
  RUNS_BUCKET,
  deadSubject,
  eventSubjects,
  jobChangedSubject,
  requestSubjects,
  runEventSubject,
} from '@luthier/contracts';
import type { ServiceName } from '@luthier/contracts';
import { inboxPrefix } from './connect.js';

export interface NatsPermissions {
  publish: string[];
  subscribe: string[];
}

export interface NatsUser {
  user: string;
  password: string;
  /** Absent: may do everything (provisioning, the standalone process). */
  permissions?: NatsPermissions;
}

const KV_STREAM = `KV_${RUNS_BUCKET}`;
const kvKeys = (kind: 'spec' | 'status'): string => `$KV.${RUNS_BUCKET}.*.${kind}`;

/** The subjects that a service may use: its own requests, events and consumers, asking others, and no more. */
export function natsPermissions(service: ServiceName): NatsPermissions {
  const publish = [...CALLS[service].map(requestSubjects), eventSubjects(service), '$JS.API.INFO'];
  const subscribe = [`${inboxPrefix(service)}.>`, requestSubjects(service)];
  publish.push(`$JS.API.STREAM.INFO.${EVENT_STREAM}`);
  for (const { stream, name } of CONSUMERS.filter((consumer) => ownerOf(consumer.name) === service)) {
    publish.push(
      `$JS.API.CONSUMER.INFO.${stream}.${name}`,
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
      `$JS.ACK.${stream}.${name}.>`,
      deadSubject(name),
    );
  }
  if (service === 'training' || service === 'trainer') {
    publish.push(
      kvKeys(service === 'training' ? 'spec' : 'status'),
      `$JS.API.STREAM.INFO.${KV_STREAM}`,
      `$JS.API.STREAM.MSG.GET.${KV_STREAM}`,
      `$JS.API.DIRECT.GET.${KV_STREAM}.>`,
      `$JS.API.CONSUMER.CREATE.${KV_STREAM}.>`,
      `$JS.API.CONSUMER.INFO.${KV_STREAM}.>`,
      `$JS.API.CONSUMER.DELETE.${KV_STREAM}.>`,
      '$JS.FC.>',
    );
  }
  if (service === 'trainer') {
    publish.push(runEventSubject('*', '*'));
    subscribe.push(runEventSubject('*', '*')); // what other replicas hear of runs
  }
  if (service === 'training') publish.push(jobChangedSubject('*'));
  if (service === 'gateway') subscribe.push(jobChangedSubject('*'));
  return { publish, subscribe };
}

/** A consumer is named after its service, with a suffix where a service has several. */
const ownerOf = (consumer: string): string => consumer.split('-')[0] ?? consumer;

/**
 * The authorization block of a nats-server configuration file. Answers to requests are allowed by `allow_responses`,
 * so nobody may publish into another's inbox unasked.
 */
export function natsServerConfig(users: readonly NatsUser[]): string {
  const list = (subjects: readonly string[]): string =>
    `[${subjects.map((subject) => JSON.stringify(subject)).join(', ')}]`;
  const entries = users.map(({ user, password, permissions }) => {
    const name = `user: ${JSON.stringify(user)}, password: ${JSON.stringify(password)}`;
    if (!permissions) return `    { ${name} }`;
    return [
      `    { ${name}, permissions: {`,
      `      publish: { allow: ${list(permissions.publish)} }`,
      `      subscribe: { allow: ${list(permissions.subscribe)} }`,
      '      allow_responses: { max: 1, expires: "10m" }',
      '    } }',
    ].join('\n');
  });
  return `authorization {\n  users: [\n${entries.join('\n')}\n  ]\n}\n`;
}
