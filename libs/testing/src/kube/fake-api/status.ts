/** An answer that is not 2xx, in the shape in which the real API server says it. */
export class Refusal extends Error {
  constructor(
    readonly code: number,
    readonly body: unknown,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(typeof body === 'string' ? body : JSON.stringify(body));
  }
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: { reason?: string; message: string; field?: string }[];
  retryAfterSeconds?: number;
}

export interface StatusBody {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: { continue?: string };
  status: 'Failure' | 'Success';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
}

export function failure(code: number, reason: string, message: string, details?: StatusDetails): StatusBody {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details && { details }),
    code,
  };
}

/** `batch/v1` + `jobs` -> `jobs.batch`, as messages name kinds. */
export const longName = (apiVersion: string, plural: string): string =>
  apiVersion.includes('/') ? `${plural}.${groupOf(apiVersion)}` : plural;

export const groupOf = (apiVersion: string): string =>
  apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';

interface Kind {
  apiVersion: string;
  plural: string;
}

const detailsOf = ({ apiVersion, plural }: Kind, name: string): StatusDetails => {
  const group = groupOf(apiVersion);
  return { name, ...(group !== '' && { group }), kind: plural };
};

export const notFound = (kind: Kind, name: string): Refusal =>
  new Refusal(
    404,
    failure(404, 'NotFound', `${longName(kind.apiVersion, kind.plural)} "${name}" not found`, detailsOf(kind, name)),
  );

export const alreadyExists = (kind: Kind, name: string): Refusal =>
  new Refusal(
    409,
    failure(
      409,
      'AlreadyExists',
      `${longName(kind.apiVersion, kind.plural)} "${name}" already exists`,
      detailsOf(kind, name),
    ),
  );

export const conflict = (kind: Kind, name: string, why: string, causes?: StatusDetails['causes']): Refusal =>
  new Refusal(
    409,
    failure(
      409,
      'Conflict',
      causes ? why : `Operation cannot be fulfilled on ${longName(kind.apiVersion, kind.plural)} "${name}": ${why}`,
      { ...detailsOf(kind, name), ...(causes && { causes }) },
    ),
  );

export const invalid = (kind: Kind & { kind: string }, name: string, field: string, why: string): Refusal => {
  const group = groupOf(kind.apiVersion);
  const subject = group === '' ? kind.kind : `${kind.kind}.${group}`;
  return new Refusal(
    422,
    failure(422, 'Invalid', `${subject} "${name}" is invalid: ${field}: ${why}`, {
      ...detailsOf(kind, name),
      kind: kind.kind,
      causes: [{ reason: 'FieldValueInvalid', message: why, field }],
    }),
  );
};

export const badRequest = (message: string): Refusal => new Refusal(400, failure(400, 'BadRequest', message));

export const expired = (message: string): StatusBody => failure(410, 'Expired', message);
