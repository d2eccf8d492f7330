import type { RowIssue } from '@luthier/contracts';

/** An issue of one row; the reader of the file adds the line. */
export type TrainingRowIssue = Omit<RowIssue, 'line'>;

export function rowError(
  code: RowIssue['code'],
  field: string | null,
  message: string,
  hint: string,
): TrainingRowIssue {
  return { code, field, severity: 'error', message, hint };
}

export function rowWarning(
  code: RowIssue['code'],
  field: string | null,
  message: string,
  hint: string,
): TrainingRowIssue {
  return { code, field, severity: 'warning', message, hint };
}
