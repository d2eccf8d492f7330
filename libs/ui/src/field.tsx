'use client';
import type { ComponentProps, ReactNode } from 'react';
import { useId } from 'react';
import { cx } from './class-names';

const CONTROL =
  'w-full min-h-9 rounded-lg border border-line-strong bg-raised px-3 py-1.5 text-sm text-ink placeholder:text-faint focus-ring disabled:opacity-50 aria-invalid:border-bad';

interface FieldIds {
  id: string;
  'aria-describedby'?: string;
  'aria-invalid'?: true;
}

export interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | null;
  className?: string;
  /** Draws the control with the ids that tie it to label, hint and error. */
  children: (ids: FieldIds) => ReactNode;
}

/** A form control with its label, a hint below it and, when it is wrong, what is wrong. */
export function Field({ label, hint, error, className, children }: FieldProps) {
  const id = useId();
  const noteId = `${id}-note`;
  const wrong = error !== undefined && error !== null;
  const described = wrong || hint !== undefined;
  return (
    <div className={cx('flex min-w-0 flex-col gap-1.5', className)}>
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children({ id, ...(described && { 'aria-describedby': noteId }), ...(wrong && { 'aria-invalid': true }) })}
      {described && (
        <p id={noteId} className={cx('text-xs leading-relaxed', wrong ? 'text-bad' : 'text-muted')}>
          {wrong ? error : hint}
        </p>
      )}
    </div>
  );
}

export const Input = ({ className, ...rest }: ComponentProps<'input'>) => (
  <input {...rest} className={cx(CONTROL, className)} />
);

export const Textarea = ({ className, ...rest }: ComponentProps<'textarea'>) => (
  <textarea {...rest} className={cx(CONTROL, 'min-h-20 leading-relaxed', className)} />
);

/** The browser's own list: it works with every keyboard, screen reader and phone. */
export const Select = ({ className, children, ...rest }: ComponentProps<'select'>) => (
  <select {...rest} className={cx(CONTROL, 'cursor-pointer pr-8', className)}>
    {children}
  </select>
);
