import { AppError } from '@luthier/contracts';

/** How many live streams may be open at once, of whatever kind. */
export class StreamSlots {
  private open = 0;

  /** @param onCount told how many are open */
  constructor(
    private readonly most: number,
    private readonly onCount: (open: number) => void,
  ) {}

  /** @returns what gives the place back. @throws AppError `request.rate-limited` when none is free. */
  take(): () => void {
    if (this.open >= this.most) throw new AppError('request.rate-limited', `${this.most} live streams are open`);
    this.onCount((this.open += 1));
    return () => this.onCount((this.open -= 1));
  }
}
