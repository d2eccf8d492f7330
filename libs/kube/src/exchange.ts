import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { KubeError, REASONS } from './kube-error.js';

export interface HttpRequest {
  url: URL;
  method: string;
  headers: Record<string, string>;
  body?: string | undefined;
  /** Certificates and agent. */
  options: RequestOptions;
  signal: AbortSignal;
}

/** Sends one request. Resolves with the head of the answer; its body is read by the caller, or destroyed. */
export function exchange({ url, method, headers, body, options, signal }: HttpRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'http:' ? plainRequest : secureRequest;
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const request = send(url, { ...options, method, signal, headers: { ...options.headers, ...headers, ...length } });
    request.on('socket', (socket) => socket.setKeepAlive(true, 30_000));
    request.on('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}

/** The whole body as text. @throws KubeError when it is longer than `maxBytes` */
export async function readText(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxBytes) {
      answer.destroy();
      throw new KubeError('server-error', `the answer of the Kubernetes API is longer than ${maxBytes} bytes`, {
        reason: REASONS.tooLarge,
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
