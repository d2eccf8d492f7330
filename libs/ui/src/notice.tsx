import type { ReactNode } from 'react';
import { cx } from './class-names';

const TONES = {
  neutral: 'border-line bg-sunken',
  good: 'border-good/30 bg-good-soft',
  warn: 'border-warn/30 bg-warn-soft',
  bad: 'border-bad/30 bg-bad-soft',
} as const;

export interface NoticeProps {
  tone?: keyof typeof TONES;
  title: ReactNode;
  /** What to do about it. */
  hint?: ReactNode;
  actions?: ReactNode;
  /** Read out at once by screen readers. */
  urgent?: boolean;
  children?: ReactNode;
}

/** Something the reader should know: what happened and what to do. */
export function Notice({ tone = 'neutral', title, hint, actions, urgent = false, children }: NoticeProps) {
  return (
    <div role={urgent ? 'alert' : 'status'} className={cx('rounded-xl border px-4 py-3 text-sm', TONES[tone])}>
      <p className="font-medium break-words">{title}</p>
      {hint !== undefined && <p className="mt-1 leading-relaxed break-words text-muted">{hint}</p>}
      {children}
      {actions !== undefined && <div className="mt-3 flex flex-wrap gap-2">{actions}</div>}
    </div>
  );
}

export interface EmptyStateProps {
  title: string;
  text: string;
  actions?: ReactNode;
}

/** Stands where a list will be, and says how it gets its first entry. */
export function EmptyState({ title, text, actions }: EmptyStateProps) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-14 text-center">
      <p className="font-semibold">{title}</p>
      <p className="max-w-prose text-sm leading-relaxed text-muted">{text}</p>
      {actions !== undefined && <div className="mt-3 flex flex-wrap justify-center gap-2">{actions}</div>}
    </div>
  );
}
