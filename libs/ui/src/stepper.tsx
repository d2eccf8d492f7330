import { cx } from './class-names';

export type StepState = 'done' | 'current' | 'failed' | 'ahead';

export interface StepperProps {
  label: string;
  steps: readonly { name: string; state: StepState; stateText: string }[];
}

const MARKS: Record<StepState, string> = {
  done: 'bg-accent',
  current: 'bg-accent/60 animate-pulse motion-reduce:animate-none',
  failed: 'bg-bad',
  ahead: 'bg-line-strong/60',
};
const NAMES: Record<StepState, string> = {
  done: 'text-muted',
  current: 'font-semibold text-ink',
  failed: 'font-semibold text-bad',
  ahead: 'text-faint',
};

/** Where something stands on its way. */
export function Stepper({ label, steps }: StepperProps) {
  return (
    <ol
      aria-label={label}
      className={cx('grid gap-x-1.5 gap-y-3 sm:flex', steps.length % 3 === 0 ? 'grid-cols-3' : 'grid-cols-4')}
    >
      {steps.map(({ name, state, stateText }) => (
        <li
          key={name}
          {...(state === 'current' && { 'aria-current': 'step' as const })}
          className="flex min-w-0 flex-1 flex-col gap-1.5"
        >
          <span aria-hidden="true" className={cx('h-1 rounded-full', MARKS[state])} />
          <span className={cx('text-xs leading-tight break-words', NAMES[state])}>
            {name}
            <span className="sr-only">: {stateText}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}
