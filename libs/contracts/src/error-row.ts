/** One line of the table of errors. */
export interface ErrorRow {
  readonly httpStatus: number;
  /** OpenAI's `error.type`. */
  readonly type:
    | 'invalid_request_error'
    | 'authentication_error'
    | 'permission_error'
    | 'not_found_error'
    | 'conflict_error'
    | 'rate_limit_error'
    | 'server_error';
  readonly title: string;
  readonly hint: string;
  readonly retryable: boolean;
}

export const row = (
  httpStatus: number,
  type: ErrorRow['type'],
  title: string,
  hint: string,
  retryable = false,
): ErrorRow => ({
  httpStatus,
  type,
  title,
  hint,
  retryable,
});
