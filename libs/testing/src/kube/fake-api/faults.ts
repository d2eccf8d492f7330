import type { IncomingMessage } from 'node:http';

/** A request as tests look at it. */
export interface SeenRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: Readonly<Record<string, string>>;
  headers: IncomingMessage['headers'];
  /** Parsed, or undefined. */
  body: unknown;
  watch: boolean;
}

/** What goes wrong with one request. */
export type Fault =
  /** Answers this instead of doing anything. */
  | { answer: { status: number; body?: unknown; headers?: Record<string, string> } }
  /** The connection is cut before anything was done. */
  | { cut: 'before' }
  /** It is done, and the connection is cut before the answer. */
  | { cut: 'after' }
  /** Does it, but answers late. */
  | { delayMs: number }
  /** For a watch or a log: opens, and then never says anything. */
  | { silent: true }
  /** For a watch: says this after opening, then cuts the connection or goes on. */
  | { say: string; thenCut?: boolean };

export type FaultRule = (request: SeenRequest) => Fault | undefined;

/** Faults that tests have asked for; each rule stays until it is taken back or used up. */
export class Faults {
  private readonly rules = new Set<FaultRule>();

  /** @returns a function that takes the rule back */
  add(rule: FaultRule): () => void {
    this.rules.add(rule);
    return () => void this.rules.delete(rule);
  }

  /** The next `times` requests that match go wrong. */
  next(match: (request: SeenRequest) => boolean, fault: Fault, times = 1): void {
    let left = times;
    const rule: FaultRule = (request) => {
      if (!match(request)) return undefined;
      left -= 1;
      if (left <= 0) this.rules.delete(rule);
      return fault;
    };
    this.rules.add(rule);
  }

  of(request: SeenRequest): Fault | undefined {
    for (const rule of this.rules) {
      const fault = rule(request);
      if (fault) return fault;
    }
    return undefined;
  }
}
