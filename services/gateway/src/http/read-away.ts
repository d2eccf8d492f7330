import type { IncomingMessage } from 'node:http';

/** As long as other web servers linger before they close. */
const LIMIT_MS = 30_000;

/**
 * Lets a client that is refused before it has sent everything find its answer: what still comes is read and thrown away.
 * A connection that is closed with something unread is reset, and the answer may be lost with it.
 * @param limitMs whoever still sends then is cut off.
 */
export function readAway(request: IncomingMessage, limitMs = LIMIT_MS): void {
  if (request.complete || request.destroyed) return;
  const cutOff = setTimeout(() => !request.complete && request.socket.destroy(), limitMs).unref();
  request.once('close', () => clearTimeout(cutOff));
  request.resume();
}
