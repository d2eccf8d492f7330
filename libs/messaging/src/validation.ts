import type { z } from 'zod';
import { AppError } from '@luthier/contracts';

export interface PayloadIssue {
  /** Dotted path of the field, empty for the payload itself. */
  path: string;
  message: string;
}

export const issuesOf = (error: z.ZodError): PayloadIssue[] =>
  error.issues.slice(0, 20).map((issue) => ({ path: issue.path.map(String).join('.'), message: issue.message }));

/** @throws AppError `request.invalid` that names the first field at fault in `param`. */
export function parsePayload<Schema extends z.ZodType>(schema: Schema, payload: unknown): z.output<Schema> {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  const issues = issuesOf(parsed.error);
  const first = issues[0] ?? { path: '', message: 'not valid' };
  throw new AppError('request.invalid', first.path === '' ? first.message : `${first.path}: ${first.message}`, {
    param: first.path,
    cause: parsed.error,
  });
}
