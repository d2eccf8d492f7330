/**
 * `threefry2x32-20`: the portable counter-based generator of every runtime (Salmon et al., "Parallel random numbers:
 * as easy as 1, 2, 3", 2011). It uses only additions, rotations and exclusive-ors of unsigned 32-bit integers, so that
 * TypeScript and NumPy (`uint32` arrays) give the same bits.
 *
 * A stream is keyed by (seed, name): with `lo = fnv1a32(utf8(name))` and `hi = fnv1a32(utf8(name) reversed)`, the key is
 * `threefry(key = (seed, 0), counter = (lo, hi))`. Word pair `i` of a stream is `threefry(key, counter = (i, 0))`;
 * number `n` of a stream is word `n % 2` of pair `floor(n / 2)`.
 */
export const PORTABLE_RANDOM_NAME = 'threefry2x32-20';

const PARITY = 0x1bd11bda;
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const ROUNDS = 20;
const ROUNDS_PER_INJECTION = 4;

/** One block: two words from a key of two words and a counter of two words. All are unsigned 32-bit. */
export function threefry2x32(key0: number, key1: number, counter0: number, counter1: number): [number, number] {
  const keys = [key0 | 0, key1 | 0, PARITY ^ key0 ^ key1];
  let x0 = (counter0 + key0) | 0;
  let x1 = (counter1 + key1) | 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const rotation = ROTATIONS[round % ROTATIONS.length] ?? 0;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0;
    if (round % ROUNDS_PER_INJECTION === ROUNDS_PER_INJECTION - 1) {
      const injection = (round + 1) / ROUNDS_PER_INJECTION;
      x0 = (x0 + (keys[injection % 3] ?? 0)) | 0;
      x1 = (x1 + (keys[(injection + 1) % 3] ?? 0) + injection) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

function fnv1a32(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** A named stream of random numbers; any number of it is reached without computing those before. */
export class RandomStream {
  private readonly key0: number;
  private readonly key1: number;

  constructor(seed: number, name: string) {
    const bytes = new TextEncoder().encode(name);
    [this.key0, this.key1] = threefry2x32(seed >>> 0, 0, fnv1a32(bytes), fnv1a32(bytes.toReversed()));
  }

  /** Word pair `index`: two unsigned 32-bit integers. */
  pair(index: number): [number, number] {
    return threefry2x32(this.key0, this.key1, index, 0);
  }

  /** Numbers 0..count-1 of the stream as 24-bit fractions: `(word >>> 8) / 2^24`, in [0, 1), exact in float32. */
  uniform(count: number): Float32Array {
    const result = new Float32Array(count);
    for (let i = 0; i < count; i += 2) {
      const [first, second] = this.pair(i >>> 1);
      result[i] = (first >>> 8) / 0x1000000;
      if (i + 1 < count) result[i + 1] = (second >>> 8) / 0x1000000;
    }
    return result;
  }
}

/**
 * The order of `rows` rows (or pairs) in epoch `epoch` (from 0): rows sorted by pair `row` of stream
 * (seed, `epoch-order/<epoch>`), first word first, ties by row number. In NumPy:
 * `np.argsort(first.astype(np.uint64) << 32 | second, kind="stable")`.
 */
export function epochOrder(rows: number, seed: number, epoch: number): Uint32Array {
  const stream = new RandomStream(seed, `epoch-order/${epoch}`);
  const keys = new Float64Array(rows);
  const seconds = new Uint32Array(rows);
  for (let row = 0; row < rows; row += 1) [keys[row], seconds[row]] = stream.pair(row);
  const order = Uint32Array.from({ length: rows }, (_, row) => row);
  return order.sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0) || (seconds[a] ?? 0) - (seconds[b] ?? 0) || a - b);
}

/**
 * Initial values of a LoRA A matrix, named by its PEFT tensor name: Kaiming-uniform with a = sqrt(5), that is
 * `fround((2 u - 1) / sqrt(fanIn))` with `u` of stream (seed, name), computed in double precision, row-major.
 */
export function loraInitialValues(seed: number, tensorName: string, count: number, fanIn: number): Float32Array {
  const bound = 1 / Math.sqrt(fanIn);
  const values = new RandomStream(seed, tensorName).uniform(count);
  for (let i = 0; i < count; i += 1) values[i] = (2 * (values[i] ?? 0) - 1) * bound;
  return values;
}
