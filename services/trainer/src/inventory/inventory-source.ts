import type { z } from 'zod';
import type { inventory } from '@luthier/contracts';

/** What runs can be placed on now, wherever they are made. */
export abstract class InventorySource {
  abstract read(): Promise<z.input<typeof inventory>>;
}
