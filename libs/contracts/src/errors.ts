import { z } from 'zod';
import { CLUSTER_ERRORS } from './cluster-errors.js';
import { row } from './error-row.js';
import type { ErrorRow } from './error-row.js';
import { obstacle } from './fit.js';
import type { Obstacle } from './fit.js';

/** Every code a user or an operator can meet. `docs/reference/errors.md` has one row for each (a test compares). */
export const ERRORS = {
  'request.invalid': row(
    400,
    'invalid_request_error',
    'The request is not valid',
    'Correct the field named in `param`.',
  ),
  'request.unsupported': row(
    400,
    'invalid_request_error',
    'This parameter is not supported',
    'Leave the field named in `param` out.',
  ),
  'request.too-large': row(
    413,
    'invalid_request_error',
    'The request body is too large',
    'Send a smaller body, or split the file.',
  ),
  'request.timeout': row(
    504,
    'server_error',
    'The answer took too long',
    'Try again; if it stays so, look at the health of the service named in the message.',
    true,
  ),
  'request.rate-limited': row(429, 'rate_limit_error', 'Too many requests', 'Wait a moment and try again.', true),
  'auth.missing': row(
    401,
    'authentication_error',
    'No API key was sent',
    'Send the header `Authorization: Bearer <key>`, or sign in.',
  ),
  'auth.wrong-key': row(
    401,
    'authentication_error',
    'The API key is not known',
    'Use the key in the file `api-key` of the home folder.',
  ),
  'auth.foreign-origin': row(
    403,
    'permission_error',
    'The request came from another site',
    'A signed-in browser may change things only from the dashboard itself; programs send the API key instead.',
  ),
  'route.not-found': row(
    404,
    'not_found_error',
    'There is no such address',
    'Look at /api/v1/openapi.json for the addresses there are.',
  ),
  'file.not-found': row(404, 'not_found_error', 'There is no such file', 'Upload the file first, or correct the id.'),
  'file.in-use': row(
    409,
    'conflict_error',
    'The file is still in use',
    'Wait for, or cancel, the jobs named in the message.',
  ),
  'file.unusable': row(
    400,
    'invalid_request_error',
    'The file has no usable row',
    'Read the issues of the file and correct the rows they name.',
  ),
  'file.wrong-rows': row(
    400,
    'invalid_request_error',
    'The method does not learn from such rows',
    'Choose a method that learns from the rows of the file, or another file.',
  ),
  'dataset.not-found': row(404, 'not_found_error', 'There is no such dataset', 'Correct the id.'),
  'dataset.not-ready': row(
    409,
    'conflict_error',
    'The dataset is not prepared yet',
    'Wait until its state is `ready`.',
    true,
  ),
  'dataset.no-trained-tokens': row(
    400,
    'invalid_request_error',
    'No row is left to learn from',
    'Every row was dropped or has an empty answer: read the report of the dataset.',
  ),
  'model.not-found': row(
    404,
    'not_found_error',
    'There is no such model',
    'List the models with GET /v1/models, or import a base model first.',
  ),
  'model.not-ready': row(
    409,
    'conflict_error',
    'The model is not ready',
    'Wait until its import has ended, or read why it failed.',
    true,
  ),
  'model.in-use': row(
    409,
    'conflict_error',
    'The model is still in use',
    'End the jobs or delete the models named in the message first.',
  ),
  'model.import-failed': row(
    502,
    'server_error',
    'The model could not be imported',
    'Read which sources were tried; a local folder works without a network.',
    true,
  ),
  'model.unreadable': row(
    400,
    'invalid_request_error',
    'The model files cannot be read',
    'Import the model again; only safetensors and GGUF files are read.',
  ),
  'model.export-drifted': row(
    422,
    'invalid_request_error',
    'The exported model does not answer as the one it was made from',
    'Export it in a type of higher precision (BF16, F16), or take the safetensors; the figures stand in the message.',
  ),
  'model.unsupported': row(
    400,
    'invalid_request_error',
    'No runtime here can do this',
    'Choose a model, method or tuning that a runtime lists among its capabilities.',
  ),
  'job.not-found': row(
    404,
    'not_found_error',
    'There is no such job',
    'Correct the id; list the jobs with GET /v1/fine_tuning/jobs.',
  ),
  'job.not-cancellable': row(409, 'conflict_error', 'The job has ended already', 'Nothing to do.'),
  'job.not-pausable': row(
    409,
    'conflict_error',
    'The job cannot be paused or resumed now',
    'Only a queued or running job pauses; only a paused job resumes.',
  ),
  'job.not-restartable': row(
    409,
    'conflict_error',
    'There is no attempt of the job that could be ended',
    'Only a job whose run is being placed, starts, trains or saves, and that nobody is cancelling or pausing.',
  ),
  'run.not-found': row(404, 'not_found_error', 'There is no such run', 'Correct the id.'),
  'run.fenced': row(
    409,
    'conflict_error',
    'A newer attempt of this run has taken over',
    'This process must stop; nothing is lost.',
  ),
  'run.not-attached': row(503, 'server_error', 'The run is not known to be placed yet', 'Ask again in a moment.', true),
  'run.deadline-exceeded': row(
    500,
    'server_error',
    'The run took longer than it may',
    'Train fewer epochs or rows, or allow a longer running time.',
  ),
  'run.stalled': row(
    500,
    'server_error',
    'The run made no progress and was ended',
    'It goes on from its last checkpoint; if it stalls again, look at the end of its log and at the network between the nodes.',
    true,
  ),
  'run.deleted-externally': row(
    500,
    'server_error',
    'The run was deleted outside the platform',
    'Start the job again; to end a job, cancel it here instead of deleting its objects in the cluster.',
  ),
  'evaluation.not-found': row(404, 'not_found_error', 'There is no such evaluation', 'Correct the id.'),
  'plan.does-not-fit': row(
    400,
    'invalid_request_error',
    'There is no room for the run here',
    'Take one of the alternatives that the plan lists.',
  ),
  'data.bad': row(
    400,
    'invalid_request_error',
    'The training data cannot be used',
    'Read the issue list of the dataset; correct the rows it names.',
  ),
  'config.bad': row(
    400,
    'invalid_request_error',
    'The configuration cannot be run',
    'Correct the field named in the message.',
  ),
  'device.out-of-memory': row(
    500,
    'server_error',
    'The device ran out of memory',
    'Retry with the change that the job proposes: shorter rows, a smaller batch, a smaller rank or a smaller model.',
  ),
  'host.out-of-memory': row(
    500,
    'server_error',
    'The machine ran out of memory',
    'Close other programs or ask for a smaller run.',
  ),
  'training.diverged': row(
    500,
    'server_error',
    'The loss became infinite or not a number',
    'Lower the learning rate (a third is a good first try) and look at the rows of the step named.',
  ),
  'disk.full': row(
    507,
    'server_error',
    'The disk is full',
    'Free some space; the last checkpoint is kept and the job can go on.',
    true,
  ),
  'storage.unreachable': row(
    503,
    'server_error',
    'The storage or control endpoint cannot be reached',
    'Check the network; the run goes on from its last checkpoint.',
    true,
  ),
  'storage.not-found': row(
    404,
    'not_found_error',
    'The stored file is not there',
    'It was deleted or never completed; ask for the thing it belongs to again.',
  ),
  'collective.failed': row(
    500,
    'server_error',
    'The processes of the run lost each other',
    'Check the network between the nodes; the run goes on from its last checkpoint.',
    true,
  ),
  'runtime.killed': row(
    500,
    'server_error',
    'The training process was killed',
    'The run goes on from its last checkpoint.',
    true,
  ),
  'runtime.crashed': row(
    500,
    'server_error',
    'The training process ended without a reason',
    'Read the end of its log; it is tried once more.',
    true,
  ),
  'runtime.interrupted': row(
    500,
    'server_error',
    'The run was interrupted',
    'The run goes on from its last checkpoint.',
    true,
  ),
  ...CLUSTER_ERRORS,
  'service.unavailable': row(
    503,
    'server_error',
    'A part of the platform is not there',
    'Try again in a moment; see /readyz of the service named in the message.',
    true,
  ),
  internal: row(
    500,
    'server_error',
    'Something went wrong inside',
    'Look into the log with the request id; if it stays so, report it.',
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;
export const ERROR_CODES = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];
export const errorCode = z.enum(ERROR_CODES);

/** What travels over NATS in place of an answer. */
export const errorReply = z.object({
  error: z.object({
    code: errorCode,
    message: z.string(),
    param: z.string().nullable().default(null),
    hint: z.string().optional(),
    obstacle: obstacle.optional(),
  }),
});
export type ErrorReply = z.output<typeof errorReply>;

export interface ErrorDetails {
  /** The field at fault, in the caller's own spelling. */
  param?: string;
  /** Says more than the code's standing hint. */
  hint?: string;
  /** What is in the way of the run that the error is about. */
  obstacle?: Obstacle;
  cause?: unknown;
}

/** The one error class that crosses service borders. `message` is public; `cause` goes to the log only. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly param: string | null;
  readonly hint: string;
  readonly obstacle: Obstacle | null;

  constructor(
    readonly code: ErrorCode,
    message: string = ERRORS[code].title,
    details: ErrorDetails = {},
  ) {
    super(message, { cause: details.cause });
    this.param = details.param ?? null;
    this.hint = details.hint ?? ERRORS[code].hint;
    this.obstacle = details.obstacle ?? null;
  }

  get httpStatus(): number {
    return ERRORS[this.code].httpStatus;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  toReply(): ErrorReply {
    const { code, message, param, hint, obstacle } = this;
    return { error: { code, message, param, hint, ...(obstacle !== null && { obstacle }) } };
  }

  static fromReply({ error }: ErrorReply): AppError {
    return new AppError(error.code, error.message, {
      ...(error.param !== null && { param: error.param }),
      ...(error.hint !== undefined && { hint: error.hint }),
      ...(error.obstacle !== undefined && { obstacle: error.obstacle }),
    });
  }

  /** The same error, of a field that the next caller knows by another name. */
  withParam(param: string): AppError {
    const { code, message, hint, obstacle, cause } = this;
    return new AppError(code, message, { param, hint, ...(obstacle !== null && { obstacle }), cause });
  }

  /** Any thrown thing as an AppError; what is not ours becomes `internal` with the thing as its cause. */
  static from(thrown: unknown): AppError {
    return thrown instanceof AppError ? thrown : new AppError('internal', ERRORS.internal.title, { cause: thrown });
  }
}
