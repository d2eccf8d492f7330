import type { ExportFormat, Model } from '../../lib/api/models';

/** Why a model cannot be taken in a format: one without an adapter, or one that only gives points. */
type Refusal = 'noAdapter' | 'points';

export interface ExportOffer {
  format: ExportFormat;
  refused: Refusal | null;
  /** Of the weights it will have; null: not known, or as they lie there. */
  sizeBytes: number | null;
}

/** Eight bits have a scale of two bytes for every 32 weights. */
const BYTES_PER_WEIGHT: Partial<Record<ExportFormat, number>> = {
  gguf: 2,
  'gguf-f16': 2,
  'gguf-q8_0': 34 / 32,
};

/** What a model can be taken elsewhere as, the most useful first; what it cannot stands there with the reason. */
export function exportOffers({ files, gives, shape }: Pick<Model, 'files' | 'gives' | 'shape'>): ExportOffer[] {
  if (files === null) return [];
  const whole = gives === 'points' ? 'points' : null;
  const offer = (format: ExportFormat, refused: Refusal | null): ExportOffer => {
    const perWeight = BYTES_PER_WEIGHT[format];
    return { format, refused, sizeBytes: shape && perWeight ? Math.round(shape.parameters * perWeight) : null };
  };
  return [
    offer('gguf', whole),
    offer('gguf-q8_0', whole),
    offer('gguf-f16', whole),
    offer('safetensors', whole),
    offer('adapter', files.form === 'adapter' ? null : 'noAdapter'),
  ];
}
