import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { STOP_REASONS } from '@luthier/contracts';

const order = z.discriminatedUnion('type', [
  z.object({ type: z.literal('stop'), reason: z.enum(STOP_REASONS) }),
  z.object({ type: z.literal('checkpoint'), request: z.int().nonnegative() }),
]);
type ControlOrder = z.output<typeof order>;

export interface ControlListener {
  onOrder: (order: ControlOrder) => void;
  /** The executor is gone: nobody would see what this run does. */
  onEnd: () => void;
}

/** Orders of the executor, one JSON object a line. Unknown ones are passed over. */
export function listenToControlPipe(pipe: Readable, { onOrder, onEnd }: ControlListener): void {
  let ended = false;
  const end = (): void => {
    if (!ended) onEnd();
    ended = true;
  };
  pipe.on('error', end);
  pipe.on('close', end);
  pipe.on('end', end);
  createInterface({ input: pipe }).on('line', (line) => {
    try {
      const parsed = order.safeParse(JSON.parse(line));
      if (parsed.success) onOrder(parsed.data);
    } catch {
      // not JSON: a newer executor, or half a line at its death
    }
  });
}
