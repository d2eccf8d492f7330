type Numbers = Int32Array | Uint8Array | BigInt64Array;

/** A typed array that doubles when full, so that rows are appended without one object each. */
export class Growable<T extends Numbers> {
  private length = 0;

  constructor(
    private values: T,
    private readonly make: (length: number) => T,
  ) {}

  get size(): number {
    return this.length;
  }

  append(items: T): void {
    this.reserve(items.length);
    (this.values as { set(items: T, offset: number): void }).set(items, this.length);
    this.length += items.length;
  }

  clear(): void {
    this.length = 0;
  }

  view(): T {
    return this.values.subarray(0, this.length) as T;
  }

  private reserve(extra: number): void {
    const needed = this.length + extra;
    if (needed <= this.values.length) return;
    const larger = this.make(Math.max(needed, this.values.length * 2));
    (larger as { set(items: T): void }).set(this.view());
    this.values = larger;
  }
}

export const growableInt32 = (): Growable<Int32Array> =>
  new Growable<Int32Array>(new Int32Array(1024), (length) => new Int32Array(length));
export const growableUint8 = (): Growable<Uint8Array> =>
  new Growable<Uint8Array>(new Uint8Array(1024), (length) => new Uint8Array(length));
export const growableInt64 = (): Growable<BigInt64Array> =>
  new Growable<BigInt64Array>(new BigInt64Array(1024), (length) => new BigInt64Array(length));
