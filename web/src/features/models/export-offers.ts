import type { ExportFormat, Model } from '../../lib/api/models';

/** Why a model cannot be taken in a format: one without an adapter, or one that only gives points. */
type Refusal = 'noAdapter' | 'points';

export interface ExportOffer {
  format: ExportFormat;
  refused: Refusal | null;
}

/** What a model can be taken elsewhere as, the most useful first; what it cannot stands there with the reason. */
export function exportOffers({ files, gives }: Pick<Model, 'files' | 'gives'>): ExportOffer[] {
  if (files === null) return [];
  const whole = gives === 'points' ? 'points' : null;
  return [
    { format: 'gguf', refused: whole },
    { format: 'safetensors', refused: whole },
    { format: 'adapter', refused: files.form === 'adapter' ? null : 'noAdapter' },
  ];
}
