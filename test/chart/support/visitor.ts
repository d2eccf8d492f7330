import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceDoor } from '@luthier/testing/kube';

/** HTTP status, or what went wrong with the connection. */
export type Answer = number | string;

/** So that visits do not take the machine from what they watch. */
const INTERVAL_MS = 100;

/** Asks for the same page again and again, each time by a new connection, until it is told to leave. */
export class Visitor {
  private readonly answers: Answer[] = [];
  private leaving = false;
  private readonly visiting: Promise<void>;

  /** @param patience how often it asks again where the answer is not 200, as clients of APIs do */
  constructor(
    private readonly door: ServiceDoor,
    private readonly page: { path: string; apiKey?: string; patience?: number },
  ) {
    this.visiting = this.visit();
  }

  /** What it was answered in the end, each time. */
  async leave(): Promise<readonly Answer[]> {
    this.leaving = true;
    await this.visiting;
    return this.answers;
  }

  private async visit(): Promise<void> {
    while (!this.leaving) {
      let answer = await this.ask();
      for (let again = this.page.patience ?? 0; again > 0 && answer !== 200; again -= 1) answer = await this.ask();
      this.answers.push(answer);
      await sleep(INTERVAL_MS);
    }
  }

  private ask(): Promise<Answer> {
    const { path, apiKey } = this.page;
    const { host, port } = this.door;
    const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
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
}
