import { randomInt } from 'node:crypto';
import { freePort } from '@luthier/local-servers';

/** The kernel gives ports from 32768 on to whoever connects or listens anywhere. */
const KERNELS_FIRST = 32_768;
const FIRST = 16_384;

/**
 * A port of 127.0.0.1 that nobody listens on, and that stays so: for a server that is started later or again, while its
 * clients knock at the door.
 */
export async function steadyPort(): Promise<number> {
  for (;;) {
    const wanted = randomInt(FIRST, KERNELS_FIRST);
    if ((await freePort(wanted)) === wanted) return wanted;
  }
}
