import type { FitAnswer, FitParams, FitReason, Obstacle } from '@luthier/contracts';
import { fitSentence } from './fit-sentences.js';

/** What is in the way of a run, without what would fit instead. */
export type Hindrance = Pick<Obstacle, 'reason' | 'params'>;

export const hindrance = <Reason extends FitReason>(reason: Reason, params: FitParams<Reason>): Hindrance => ({
  reason,
  params,
});

/** An answer with its sentence. */
export const fitAnswer = (
  { reason, params }: Hindrance,
  {
    nearest = null,
    ...rest
  }: Pick<FitAnswer, 'canEverFit' | 'fitsNow'> & Partial<Pick<FitAnswer, 'nearest' | 'deviceProducts'>>,
): FitAnswer => ({
  ...{ reason, params, nearest, deviceProducts: [] },
  ...rest,
  message: fitSentence({ reason, params, nearest }),
});

/** A run that asks for devices where the profile has none. */
export const fitsWithoutDevices = (profile: string): FitAnswer =>
  fitAnswer(hindrance('cpu-only', { profile }), {
    ...{ canEverFit: false, fitsNow: false },
    nearest: { nodes: 1, devicesPerNode: 0, deviceType: null, otherType: false, withoutQueue: false },
  });
