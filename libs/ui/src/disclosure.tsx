'use client';
import { Collapsible } from '@base-ui/react/collapsible';
import type { ReactNode } from 'react';

export interface DisclosureProps {
  title: ReactNode;
  defaultOpen?: boolean;
  children: ReactNode;
}

/** What is not needed at first sight. */
export function Disclosure({ title, defaultOpen = false, children }: DisclosureProps) {
  return (
    <Collapsible.Root defaultOpen={defaultOpen}>
      <Collapsible.Trigger className="group focus-ring flex cursor-pointer items-center gap-2 rounded-md py-1 text-left text-sm font-medium text-muted hover:text-ink">
        <span
          aria-hidden="true"
          className="inline-block size-2 shrink-0 -rotate-45 border-r-[1.5px] border-b-[1.5px] border-current transition-transform group-data-[panel-open]:rotate-45"
        />
        {title}
      </Collapsible.Trigger>
      <Collapsible.Panel className="pt-3">{children}</Collapsible.Panel>
    </Collapsible.Root>
  );
}
