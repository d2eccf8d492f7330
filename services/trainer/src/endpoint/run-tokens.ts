import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { IncarnationKey } from './run-publisher.js';

const SECRET_BYTES = 32;
const LIFETIME_MS = 60 * 60 * 1_000;

/** Tokens of runners: nothing is stored, every replica with the secret can check them. */
export class RunTokens {
  constructor(
    private readonly secret: Buffer,
    private readonly now: () => number = Date.now,
    private readonly lifetimeMs = LIFETIME_MS,
  ) {
    if (secret.length < SECRET_BYTES) throw new Error('the secret of the run tokens is too short');
  }

  /** Reads the secret, any text that is long enough, or makes it at the first start. */
  static async open(path: string, lifetimeMs = LIFETIME_MS): Promise<RunTokens> {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, randomBytes(SECRET_BYTES).toString('hex'), { flag: 'wx', mode: 0o600, flush: true }).catch(
      (cause: unknown) => {
        if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      },
    );
    return new RunTokens(Buffer.from((await readFile(path, 'utf8')).trim()), Date.now, lifetimeMs);
  }

  attachToken(runId: string, attempt: number): string {
    return this.mac(`attach:${runId}:${attempt}`);
  }

  /** @throws AppError `auth.wrong-key`. */
  checkAttach(token: string, runId: string, attempt: number): void {
    if (!same(token, this.attachToken(runId, attempt))) throw new AppError('auth.wrong-key');
  }

  issue({ runId, attempt, incarnation }: IncarnationKey): string {
    const body = `${runId}.${attempt}.${incarnation}.${this.now() + this.lifetimeMs}`;
    return `${body}.${this.mac(`run:${body}`)}`;
  }

  /**
   * An expired token is still good for its holder's heartbeat, which renews it; whether its attempt is current is
   * looked up with every call.
   * @throws AppError `auth.wrong-key`.
   */
  check(token: string, runId: string, options: { mayBeExpired: boolean }): IncarnationKey & { renew: boolean } {
    const cut = token.lastIndexOf('.');
    const body = token.slice(0, Math.max(0, cut));
    const [owner, attempt, incarnation, expires] = body.split('.');
    const genuine = same(token.slice(cut + 1), this.mac(`run:${body}`));
    const leftMs = Number(expires) - this.now();
    if (!genuine || owner !== runId || (leftMs <= 0 && !options.mayBeExpired)) throw new AppError('auth.wrong-key');
    return { runId, attempt: Number(attempt), incarnation: Number(incarnation), renew: leftMs < this.lifetimeMs / 2 };
  }

  private mac(text: string): string {
    return createHmac('sha256', this.secret).update(text).digest('base64url');
  }
}

function same(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}
