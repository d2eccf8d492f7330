'use client';
import { Badge, Disclosure, Figure, FigureRow, StackedBar } from '@luthier/ui';
import type { Tone } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Plan } from '../../lib/api/jobs';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';

const TONES: Record<Plan['verdict'], Tone> = {
  fits: 'good',
  waits: 'warn',
  'can-never-fit': 'bad',
  unknown: 'neutral',
};

/** A changed configuration that the platform proposes, in the job's own field names. */
export type Change = Readonly<Record<string, string | number>>;

export interface PlanViewProps {
  plan: Plan;
  /** Given where the configuration can still be changed. */
  onApply?: (change: Change) => void;
}

/** What a run will need: memory by component against what there is, time, steps, and what to change if it does not fit. */
export function PlanView({ plan, onApply }: PlanViewProps) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const told = useTold();
  const parts = plan.components.map(({ name, mib }) => ({
    name: t(`component.${name}`),
    value: mib,
    text: format.mib(mib),
  }));
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-wrap items-baseline gap-x-3 gap-y-1.5">
        <Badge tone={TONES[plan.verdict]}>{t(`verdict.${plan.verdict}`)}</Badge>
        <p className="min-w-0 text-sm text-muted">{told.plan(plan)}</p>
      </div>
      <FigureRow>
        <Figure
          name={t('plan.memory')}
          value={format.mib(plan.total_mib)}
          note={plan.measured ? t('plan.measured') : t('plan.of', { amount: format.mib(plan.available_mib) })}
        />
        <Figure
          name={t('plan.time')}
          value={format.duration(plan.estimated_seconds)}
          note={t(plan.measured ? 'plan.measured' : 'plan.estimate')}
        />
        <Figure name={t('plan.steps')} value={format.number(plan.steps)} />
        <Figure name={t('plan.tokens')} value={format.number(plan.tokens)} />
        <Figure name={t('plan.device')} value={plan.device === 'cpu' ? 'CPU' : plan.device} />
      </FigureRow>
      <StackedBar label={t('plan.parts')} parts={parts} total={Math.max(plan.total_mib, plan.available_mib)} />
      {plan.alternatives.length > 0 && <Alternatives plan={plan} {...(onApply && { onApply })} />}
      {plan.notes.length > 0 && (
        <Disclosure title={t('plan.notes')}>
          <ul className="list-disc space-y-1 pl-5 text-sm text-muted">
            {plan.notes.map((note) => (
              <li key={note.id}>{told.note(note)}</li>
            ))}
          </ul>
        </Disclosure>
      )}
    </div>
  );
}

function Alternatives({ plan, onApply }: PlanViewProps) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const told = useTold();
  return (
    <div>
      <h3 className="text-sm font-medium">{t('plan.alternatives')}</h3>
      <ul className="mt-2 flex flex-col gap-2">
        {plan.alternatives.map((alternative) => (
          <li key={alternative.title} className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
            <span>{told.alternative(alternative)}</span>
            <span className="text-muted tabular-nums">{format.mib(alternative.total_mib)}</span>
            {onApply && (
              <button
                type="button"
                onClick={() => onApply(alternative.change)}
                className="prose-link focus-ring cursor-pointer rounded text-sm"
              >
                {t('plan.apply')}
              </button>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}
