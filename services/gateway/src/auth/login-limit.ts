import { AppError } from '@luthier/contracts';

const MAX_ADDRESSES = 10_000;

/** Bounds how often one address may try wrong keys; the number of addresses remembered is bounded too. */
export class LoginLimit {
  private readonly failures = new Map<string, { count: number; until: number }>();

  constructor(
    private readonly maxFailures = 10,
    private readonly windowMs = 60_000,
    private readonly now: () => number = Date.now,
  ) {}

  /** @throws AppError `request.rate-limited` */
  check(address: string): void {
    const entry = this.failures.get(address);
    if (!entry || entry.until <= this.now() || entry.count < this.maxFailures) return;
    const seconds = Math.ceil((entry.until - this.now()) / 1000);
    throw new AppError('request.rate-limited', `Too many wrong keys; try again in ${seconds} s`);
  }

  failed(address: string): void {
    const entry = this.failures.get(address);
    if (entry && entry.until > this.now()) {
      entry.count += 1;
      return;
    }
    this.failures.delete(address);
    if (this.failures.size >= MAX_ADDRESSES) this.failures.delete(this.failures.keys().next().value ?? '');
    this.failures.set(address, { count: 1, until: this.now() + this.windowMs });
  }

  succeeded(address: string): void {
    this.failures.delete(address);
  }
}
