import { AppError } from '@luthier/contracts';

export interface HealthReport {
  ready: boolean;
  /** `ok`, or why not. */
  checks: Record<string, string>;
}

const CHECK_TIMEOUT_MS = 2_000;

/** What has to work before this service may be sent anything. */
export class HealthChecks {
  private readonly checks = new Map<string, () => Promise<void>>();
  private isEnding = false;

  /** @param check throws or rejects when the thing is not usable; gets 2 s. */
  register(name: string, check: () => Promise<void>): void {
    this.checks.set(name, check);
  }

  /** From now on not ready: nobody should send new work to a service that ends. */
  end(): void {
    this.isEnding = true;
  }

  get ending(): boolean {
    return this.isEnding;
  }

  async report(): Promise<HealthReport> {
    const results = await Promise.all(
      [...this.checks].map(async ([name, check]) => [name, await outcomeOf(check)] as const),
    );
    const checks = Object.fromEntries(results);
    if (this.isEnding) checks['service'] = 'is ending';
    return { ready: Object.values(checks).every((text) => text === 'ok'), checks };
  }
}

async function outcomeOf(check: () => Promise<void>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new AppError('request.timeout', `no answer in ${CHECK_TIMEOUT_MS} ms`)),
      CHECK_TIMEOUT_MS,
    );
  });
  try {
    await Promise.race([check(), late]);
    return 'ok';
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  } finally {
    clearTimeout(timer);
  }
}
