import type { z } from 'zod';
import type { ClusterReport, DoctorReport, ResponseOf, fitRun, inventory } from '@luthier/contracts';

/** The shape of a run that somebody thinks of starting. */
export type RunShape = z.output<typeof fitRun.request>;
export type FitAnswers = ResponseOf<typeof fitRun>['answers'];

/** What runs can be placed on now, wherever they are made. */
export abstract class InventorySource {
  abstract read(): Promise<z.input<typeof inventory>>;
  /** Whether a run could be placed, for each profile named that there is. */
  abstract fitRun(shape: RunShape): Promise<FitAnswers>;
  /** For an operator's eyes. */
  abstract report(): Promise<ClusterReport>;
  /** Looks at everything that an installation needs. */
  abstract check(): Promise<DoctorReport>;
}
