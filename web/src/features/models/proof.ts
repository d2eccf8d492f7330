import type { Tone } from '@luthier/ui';
import type { Model } from '../../lib/api/models';

const TONES: Record<Model['proof'], Tone> = { better: 'good', worse: 'bad', 'not-shown': 'warn', unproven: 'neutral' };

/** Only what was shown to be better looks good. */
export const proofTone = (proof: Model['proof']): Tone => TONES[proof];
