import type { ReactNode } from 'react';
import { Shell } from '../../features/session/shell';

export default function SignedInLayout({ children }: { children: ReactNode }) {
  return <Shell>{children}</Shell>;
}
