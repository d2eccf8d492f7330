'use client';
import type { ReactNode } from 'react';
import { useId } from 'react';
import { cx } from './class-names';

export interface CardProps {
  title?: ReactNode;
  /** Stands at the end of the title's line. */
  aside?: ReactNode;
  className?: string;
  /** Leaves the padding to the content, e.g. for tables. */
  flush?: boolean;
  children: ReactNode;
}

/** A titled part of a page. */
export function Card({ title, aside, className, flush = false, children }: CardProps) {
  const titleId = useId();
  return (
    <section
      {...(title !== undefined && { 'aria-labelledby': titleId })}
      className={cx('min-w-0 rounded-xl border border-line bg-raised', className)}
    >
      {title !== undefined && (
        <div className="flex min-h-12 flex-wrap items-center justify-between gap-x-4 gap-y-1 px-4 pt-3 sm:px-5">
          <h2 id={titleId} className="text-sm font-semibold">
            {title}
          </h2>
          {aside}
        </div>
      )}
      <div
        className={flush ? 'pt-1' : cx('px-4 pb-4 sm:px-5 sm:pb-5', title === undefined ? 'pt-4 sm:pt-5' : 'pt-1.5')}
      >
        {children}
      </div>
    </section>
  );
}
