'use client';
import { Badge } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Model } from '../../lib/api/models';
import { proofTone } from './proof';

const TONES = { importing: 'accent', ready: 'good', failed: 'bad' } as const;

/** Of a base model whether it is here; of a tuned one whether it was shown to be better, or that it only judges. */
export function ModelBadge({ model }: { model: Model }) {
  const t = useTranslations('models');
  if (model.gives === 'points' && model.state === 'ready') return <Badge>{t('gives.points')}</Badge>;
  if (model.kind === 'tuned' && model.state === 'ready') {
    return <Badge tone={proofTone(model.proof)}>{t(`proof.${model.proof}`)}</Badge>;
  }
  return (
    <Badge tone={TONES[model.state]} live={model.state === 'importing'}>
      {t(`state.${model.state}`)}
    </Badge>
  );
}
