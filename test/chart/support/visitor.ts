import { get } from 'node:http';
import type { ServiceDoor } from '@luthier/testing/kube';

export interface Visit {
  path: string;
  /** HTTP status, or what went wrong with the connection. */
  answer: number | string;
}

/** Asks for the same things again and again, each time by a new connection, until it is told to leave. */
export class Visitor {
  private readonly visits: Visit[] = [];
  private leaving = false;
  private readonly asking: Promise<void>;

  constructor(door: ServiceDoor, apiKey: string, paths: readonly string[]) {
    this.asking = (async () => {
      while (!this.leaving)
        for (const path of paths) this.visits.push({ path, answer: await statusOf(door, apiKey, path) });
    })();
  }

  async leave(): Promise<readonly Visit[]> {
    this.leaving = true;
    await this.asking;
    return this.visits;
  }
}

function statusOf({ host, port }: ServiceDoor, apiKey: string, path: string): Promise<number | string> {
  const headers = { authorization: `Bearer ${apiKey}` };
  return new Promise((resolve) => {
    const asked = get({ host, port, path, headers, agent: false, timeout: 60_000 }, (response) => {
      response.resume();
      response.once('error', (cause) => resolve(String(cause)));
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer')));
    asked.once('error', (cause) => resolve(String(cause)));
  });
}
