export interface BucketOptions {
  /** Tokens that come back in a second. 0 switches the limit off. */
  perSecond: number;
  /** Tokens that an idle bucket holds. */
  burst: number;
}

/**
 * Pure token bucket: it counts, the caller waits. Tokens may be promised ahead of time, so callers are served in the
 * order they came, and none starves.
 */
export class TokenBucket {
  private tokens: number;
  private at: number;

  constructor(
    private readonly options: BucketOptions,
    nowMs: number,
  ) {
    this.tokens = Math.max(1, options.burst);
    this.at = nowMs;
  }

  /** Takes one token. @returns how long to wait before using it, in milliseconds */
  take(nowMs: number): number {
    const { perSecond, burst } = this.options;
    if (perSecond <= 0) return 0;
    // A clock that goes back gives nothing and takes nothing.
    const passed = Math.max(0, nowMs - this.at);
    this.at = Math.max(this.at, nowMs);
    this.tokens = Math.min(Math.max(1, burst), this.tokens + (passed / 1_000) * perSecond) - 1;
    return this.tokens >= 0 ? 0 : (-this.tokens / perSecond) * 1_000;
  }

  /** Gives a token back that was taken and not used. */
  giveBack(): void {
    this.tokens = Math.min(Math.max(1, this.options.burst), this.tokens + 1);
  }
}
