import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { capabilities } from '@luthier/contracts';
import type { Capabilities } from '@luthier/contracts';
import type { Logger } from '@luthier/service-kit';

const run = promisify(execFile);
const TIMEOUT_MS = 30_000;
const RETRY_AFTER_MS = 30_000;

/** What each runtime can do, asked once by running it; a runtime that cannot be asked is asked again later. */
export class RuntimeCapabilities {
  private readonly known = new Map<string, { answer: Promise<Capabilities | undefined>; askedAt: number }>();

  constructor(
    private readonly logger: Logger,
    private readonly environment: Readonly<Record<string, string | undefined>>,
  ) {}

  /** Undefined when the runtime cannot be used now. */
  async of(command: readonly string[]): Promise<Capabilities | undefined> {
    const key = JSON.stringify(command);
    const before = this.known.get(key);
    const found = await before?.answer;
    if (found || (before && Date.now() - before.askedAt < RETRY_AFTER_MS)) return found;
    const answer = this.ask(command);
    this.known.set(key, { answer, askedAt: Date.now() });
    return answer;
  }

  private async ask([file = '', ...args]: readonly string[]): Promise<Capabilities | undefined> {
    try {
      const { stdout } = await run(file, [...args, 'capabilities'], {
        timeout: TIMEOUT_MS,
        maxBuffer: 1024 * 1024,
        env: { ...this.environment },
      });
      return capabilities.parse(JSON.parse(stdout));
    } catch (cause) {
      this.logger.error(
        { err: cause, command: [file, ...args] },
        'A runtime does not say what it can do; it is not offered',
      );
      return undefined;
    }
  }
}
