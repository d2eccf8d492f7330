import { AppError, errorReply } from '@luthier/contracts';

/**
 * The packets of Nest's NATS transport: `{pattern, data, id}` asks, `{id, response | err, isDisposed}` answers. Written
 * here so that requests need no Nest application on the caller's side.
 */
export function encodeRequest(subject: string, id: string, data: unknown): string {
  return JSON.stringify({ pattern: subject, data, id });
}

/** The `response` of a packet. @throws AppError: the handler's own when it is one, else `internal`. */
export function decodeReply(subject: string, text: string): unknown {
  const packet: unknown = JSON.parse(text);
  if (typeof packet !== 'object' || packet === null) {
    throw new AppError('internal', undefined, { cause: new Error(`"${subject}" answered with something unreadable`) });
  }
  if ('err' in packet && packet.err !== undefined && packet.err !== null) {
    const known = errorReply.safeParse(packet.err);
    if (known.success) throw AppError.fromReply(known.data);
    throw new AppError('internal', undefined, {
      cause: new Error(`"${subject}" answered with an error of unknown form: ${JSON.stringify(packet.err)}`),
    });
  }
  return 'response' in packet ? packet.response : undefined;
}
