import type { ServerResponse } from 'node:http';
import { pointsOf } from '../fixtures/curves.js';
import { RUN_LOG } from '../fixtures/job-history.js';
import type { LiveJob } from '../live-job.js';
import type { State } from './call.js';

/** The stream of a job that trains: what was said from there on, and what comes. */
export function follow(state: State, job: LiveJob, from: number, response: ServerResponse): void {
  let cursor = from;
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const push = (): void => {
    if (response.writableEnded) return;
    for (const entry of job.entries.slice(cursor)) {
      response.write(`id: ${entry.id}\nevent: ${entry.type}\ndata: ${JSON.stringify(entry.data)}\n\n`);
      cursor = entry.id;
    }
    if (job.ended) response.end('event: end\ndata: {}\n\n');
  };
  const stop = job.onEntry(push);
  state.streams.add(response);
  response.once('close', () => {
    stop();
    state.streams.delete(response);
  });
  push();
}

/** The log of a run: what is there, and of a live one a line from time to time. */
export function writeLog(state: State, response: ServerResponse, last: number, growing: boolean): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (id: number, text: string): unknown =>
    response.write(`id: ${id}\nevent: log\ndata: ${JSON.stringify({ text, truncated: id === 1 })}\n\n`);
  let next = last + 1;
  if (next === 1) send(next++, `${RUN_LOG}\n`);
  if (!growing) return void response.end('event: end\ndata: {}\n\n');
  const timer = setInterval(() => send(next, `a new line, number ${next++}\n`), 300);
  state.streams.add(response);
  response.once('close', () => {
    clearInterval(timer);
    state.streams.delete(response);
  });
}

/** A finished job's stream: the whole curve at once. */
export function replay(response: ServerResponse, jobId: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const points = JSON.stringify({ points: pointsOf(jobId) });
  response.end(`id: 1\nevent: metrics\ndata: ${points}\n\nevent: end\ndata: {}\n\n`);
}
