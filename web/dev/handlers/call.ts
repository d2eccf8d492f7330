import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Schemas } from '@luthier/api-client';
import type { Exports } from '../fixtures/exports.js';
import type { LiveJob } from '../live-job.js';

export interface State {
  live: LiveJob;
  jobs: Map<string, LiveJob>;
  models: Schemas['Model'][];
  files: Schemas['OpenAIFile'][];
  exports: Exports;
  streams: Set<ServerResponse>;
  checkJob: (body: unknown) => Refusal | null;
  empty: boolean;
  full: boolean;
}
/** Answers a call; undefined where it has answered by itself. */
export type Handler = (call: {
  state: State;
  parts: string[];
  url: URL;
  body: string;
  response: ServerResponse;
  request: IncomingMessage;
}) => unknown;

export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly details: { obstacle?: Schemas['Obstacle']; param?: string | null } = {},
  ) {
    super(message);
  }
}
export const notFound = (what: string): Refusal =>
  new Refusal(404, `${what}.not-found`, `There is no such ${what}`, 'Look at the list for what there is.');
export const found = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw notFound(what);
  return value;
};
export const page = <T>(items: T[]) => ({ items, has_more: false });
export const list = <T>(data: T[]) => ({ object: 'list', data, has_more: false, first_id: null, last_id: null });
/** A page of a list that is paged by `after` and `limit`. */
export const pageOf = <T extends { id: string }>(all: readonly T[], url: URL) => {
  const from = all.findIndex((item) => item.id === url.searchParams.get('after')) + 1;
  const limit = Number(url.searchParams.get('limit') ?? 20);
  return { ...list(all.slice(from, from + limit)), has_more: from + limit < all.length };
};
