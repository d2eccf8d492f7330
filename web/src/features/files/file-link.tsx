'use client';
import { useQuery } from '@tanstack/react-query';
import Link from 'next/link';
import { fileQuery } from '../../lib/api/files';
import { routes } from '../../lib/routes';

/** A file by its name; by its id until that is known, or where the file is gone. */
export function FileLink({ fileId }: { fileId: string }) {
  const file = useQuery(fileQuery(fileId));
  return (
    <Link href={routes.file(fileId)} className="prose-link focus-ring rounded break-all">
      {file.data?.filename ?? fileId}
    </Link>
  );
}
