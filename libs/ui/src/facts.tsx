import type { ReactNode } from 'react';
import { cx } from './class-names';

export interface Fact {
  name: string;
  value: ReactNode;
}

/** Names and values in two columns. */
export const FactList = ({ facts }: { facts: readonly Fact[] }) => (
  <dl className="grid grid-cols-[minmax(6rem,auto)_1fr] gap-x-6 gap-y-2 text-sm">
    {facts.map(({ name, value }) => (
      <div key={name} className="contents">
        <dt className="text-muted">{name}</dt>
        <dd className="min-w-0 break-words tabular-nums">{value}</dd>
      </div>
    ))}
  </dl>
);

export interface FigureProps {
  name: string;
  value: ReactNode;
  note?: ReactNode;
  className?: string;
}

/** One number that matters, large. */
export const Figure = ({ name, value, note, className }: FigureProps) => (
  <div className={cx('min-w-0', className)}>
    <dt className="text-xs text-muted">{name}</dt>
    <dd className="mt-0.5 text-lg leading-snug font-semibold whitespace-nowrap tabular-nums">
      {value}
      {note !== undefined && <span className="ml-1 text-xs font-normal text-muted">{note}</span>}
    </dd>
  </div>
);

export const FigureRow = ({ children }: { children: ReactNode }) => (
  <dl className="flex flex-wrap gap-x-8 gap-y-3">{children}</dl>
);
