/** Numbers that share a scale: their greatest magnitude. */
export const BLOCK = 256;

const { fround } = Math;
const DECADES = 7;
/** Even steps of [-1, 1] of which each has its code: bitsandbytes' kernel for processors looks codes up so. */
const STEPS = 65_536;
const LAST_STEP = STEPS - 1;

/** Numbers of [-1, 1] in 8 bits, and what each stands for. */
export interface Codes {
  /** [256], rising. */
  readonly values: Float32Array;
  /** The nearest code of each of `STEPS` even steps. */
  readonly nearest: Uint8Array;
}

/**
 * The dynamic tree of 8 bits (Dettmers 2015, arXiv:1511.04561) as bitsandbytes builds it (`create_dynamic_map`): seven
 * decades down from 1, each with twice the numbers of the one below; 0 and 1 besides. Without signs each has twice as many.
 */
export function dynamicCodes(signed: boolean): Codes {
  const values = [0, 1];
  for (let decade = 0; decade < DECADES; decade += 1) {
    const scale = fround(10 ** (decade - DECADES + 1));
    for (const middle of middlesOfParts(2 ** decade * (signed ? 1 : 2))) {
      values.push(fround(scale * middle));
      if (signed) values.push(-fround(scale * middle));
    }
  }
  const sorted = Float32Array.from(values).sort();
  return { values: sorted, nearest: nearestCodes(sorted) };
}

/** Of equal parts of [0.1, 1], in single precision. */
function middlesOfParts(count: number): number[] {
  const [first, last] = [fround(0.1), 1];
  const width = fround(fround(last - first) / count);
  // From the nearer end, as PyTorch's `linspace` does.
  const border = (i: number): number => fround(i < (count + 1) / 2 ? first + width * i : last - width * (count - i));
  return Array.from({ length: count }, (_, i) => fround(fround(border(i) + border(i + 1)) / 2));
}

function nearestCodes(values: Float32Array): Uint8Array {
  let code = 0;
  return Uint8Array.from({ length: STEPS }, (_, step) => {
    const value = fround(fround((2 * step) / LAST_STEP) - 1);
    while (code + 1 < values.length && fround(0.5 * fround((values[code] ?? 0) + (values[code + 1] ?? 0))) < value)
      code += 1;
    return code;
  });
}

/** Writes the codes of at most `BLOCK` numbers from `start` on, and returns their scale. */
export function encodeBlock(
  numbers: Float32Array,
  count: number,
  codes: Codes,
  into: Uint8Array,
  start: number,
): number {
  let scale = 0;
  for (let i = 0; i < count; i += 1) {
    const size = Math.abs(numbers[i] ?? 0);
    if (size > scale) scale = size;
  }
  if (scale === 0) {
    into.fill(0, start, start + count);
    return 0;
  }
  const { nearest } = codes;
  const inverse = fround(1 / scale);
  for (let i = 0; i < count; i += 1) {
    // Rounded to single precision where the kernel rounds; the inverse may be rounded up, and lead beyond the last step.
    const part = fround(fround(fround((numbers[i] ?? 0) * inverse) + 1) * 0.5);
    const step = fround(fround(part * LAST_STEP) + 0.5) | 0;
    into[start + i] = nearest[step > LAST_STEP ? LAST_STEP : step] ?? 0;
  }
  return scale;
}
