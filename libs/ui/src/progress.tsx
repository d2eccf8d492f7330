import { cx } from './class-names';

export interface ProgressProps {
  /** From 0 to 1. */
  value: number;
  label: string;
  className?: string;
}

export function Progress({ value, label, className }: ProgressProps) {
  const percent = Math.round(Math.min(1, Math.max(0, value)) * 100);
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuenow={percent}
      aria-valuemin={0}
      aria-valuemax={100}
      className={cx('h-1.5 w-full overflow-hidden rounded-full bg-sunken', className)}
    >
      <div className="h-full rounded-full bg-accent transition-[width] duration-500" style={{ width: `${percent}%` }} />
    </div>
  );
}

interface StackedBarPart {
  name: string;
  value: number;
  /** The value with its unit. */
  text: string;
}

export interface StackedBarProps {
  label: string;
  parts: readonly StackedBarPart[];
  /** The whole width; what is not taken stays empty. */
  total: number;
}

const SHADES = [
  ...['bg-chart-1', 'bg-chart-2', 'bg-chart-3', 'bg-chart-4', 'bg-chart-5', 'bg-chart-6'],
  ...['bg-chart-7', 'bg-chart-8', 'bg-chart-9', 'bg-chart-10'],
] as const;

/** Shares of one amount beside each other, with a legend that says each in words. */
export function StackedBar({ label, parts, total }: StackedBarProps) {
  const shown = parts.filter((part) => part.value > 0);
  return (
    <figure aria-label={label} className="m-0">
      <div aria-hidden="true" className="flex h-3 w-full gap-px overflow-hidden rounded-full bg-sunken">
        {shown.map((part, index) => (
          <div
            key={part.name}
            className={SHADES[index % SHADES.length]}
            style={{ width: `${(part.value / Math.max(total, 1e-9)) * 100}%` }}
          />
        ))}
      </div>
      <ul className="mt-3 grid grid-cols-1 gap-x-6 gap-y-1 text-xs sm:grid-cols-2">
        {shown.map((part, index) => (
          <li key={part.name} className="flex items-center gap-2">
            <span aria-hidden="true" className={cx('size-2.5 shrink-0 rounded-sm', SHADES[index % SHADES.length])} />
            <span className="grow text-muted">{part.name}</span>
            <span className="tabular-nums">{part.text}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}
