import Link from 'next/link';
import type { ReactNode } from 'react';

export interface PageHeaderProps {
  title: ReactNode;
  /** Where one came from. */
  back?: { href: string; name: string };
  /** Beside the title, e.g. a state. */
  mark?: ReactNode;
  text?: ReactNode;
  actions?: ReactNode;
}

export function PageHeader({ title, back, mark, text, actions }: PageHeaderProps) {
  return (
    <div className="mb-6">
      {back && (
        <Link href={back.href} className="focus-ring mb-2 inline-block rounded text-sm text-muted hover:text-ink">
          <span aria-hidden="true">← </span>
          {back.name}
        </Link>
      )}
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
            <h1 className="min-w-0 text-2xl font-semibold tracking-tight break-words">{title}</h1>
            {mark}
          </div>
          {text !== undefined && <p className="mt-1.5 max-w-prose text-sm leading-relaxed text-muted">{text}</p>}
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
      </div>
    </div>
  );
}
