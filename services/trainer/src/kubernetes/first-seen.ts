/** Since when each attempt is seen in the same trouble. Begins anew with every life of the trainer. */
export class FirstSeen {
  private readonly seen = new Map<string, { reason: string; sinceMs: number }>();

  /** @returns ms since the epoch. */
  since(attempt: string, reason: string, now: number): number {
    const known = this.seen.get(attempt);
    if (known?.reason === reason) return known.sinceMs;
    this.seen.set(attempt, { reason, sinceMs: now });
    return now;
  }

  forget(runId: string): void {
    for (const attempt of this.seen.keys()) if (attempt.startsWith(`${runId}#`)) this.seen.delete(attempt);
  }
}
