import type { ComponentProps } from 'react';
import { cx } from './class-names';
import { Spinner } from './spinner';

export type ButtonTone = 'primary' | 'secondary' | 'danger' | 'quiet';

const BASE =
  'inline-flex min-h-9 cursor-pointer items-center justify-center gap-2 rounded-lg px-3.5 py-1.5 text-sm font-medium whitespace-nowrap transition-colors focus-ring disabled:cursor-not-allowed disabled:opacity-50 aria-disabled:cursor-not-allowed aria-disabled:opacity-50';
const TONES: Record<ButtonTone, string> = {
  primary: 'bg-accent text-on-accent hover:bg-accent-strong',
  secondary: 'border border-line-strong bg-raised text-ink hover:bg-sunken',
  danger: 'border border-bad/40 bg-raised text-bad hover:bg-bad-soft',
  quiet: 'text-muted hover:bg-sunken hover:text-ink',
};

/** Classes of a button, for links that look like one. */
export const buttonClass = (tone: ButtonTone = 'secondary'): string => cx(BASE, TONES[tone]);

export interface ButtonProps extends ComponentProps<'button'> {
  tone?: ButtonTone;
  /** Something is under way: the button is off and shows it. */
  busy?: boolean;
}

export function Button({ tone = 'secondary', busy = false, className, children, disabled, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={busy || disabled === true}
      aria-busy={busy}
      className={cx(buttonClass(tone), className)}
    >
      {busy && <Spinner />}
      {children}
    </button>
  );
}
