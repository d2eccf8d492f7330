import { z } from 'zod';
import { AppError } from '@luthier/contracts';
import { fromWire, innerOf, snakeName } from './snake-case.js';

/** @throws AppError `request.invalid` that names the first field at fault in `param`, as the caller spells it. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  // No body is enough where everything in it may be left out.
  if (body === undefined && mayBeLeftOut(schema)) return schema.parse(undefined);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AppError('request.invalid', 'The body must be a JSON object');
  }
  return parseWire(schema, body);
}

export const mayBeLeftOut = (schema: z.ZodType): boolean => schema.safeParse(undefined).success;

/** Query and path parameters: text becomes numbers, booleans, lists and maps (`metadata[key]=value`) as declared. */
export function parseParameters<S extends z.ZodObject>(schema: S, raw: unknown): z.output<S> {
  const nested = unbracket(typeof raw === 'object' && raw !== null ? Object.entries(raw) : []);
  const byWire = new Map(Object.entries(schema.shape).map(([key, member]) => [snakeName(key), member as z.ZodType]));
  const typed: Record<string, unknown> = {};
  for (const [key, value] of nested) {
    const member = byWire.get(key);
    if (member) typed[key] = coerce(member, value); // what is not declared is tolerated, as OpenAI's SDK adds its own
  }
  return parseWire(schema, typed);
}

function parseWire<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(fromWire(schema, value));
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error);
}

function invalid(error: z.ZodError): AppError {
  const issue = error.issues[0];
  if (!issue) return new AppError('request.invalid');
  const path = issue.path.map((part) => (typeof part === 'string' ? snakeName(part) : String(part)));
  const stranger = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const param = (stranger === undefined ? path : [...path, stranger]).join('.');
  const message = stranger === undefined ? messageOf(issue) : 'this field is not known';
  return new AppError('request.invalid', param === '' ? message : `${param}: ${message}`, {
    ...(param !== '' && { param }),
    cause: error,
  });
}

/** A union says what each of its options expected, not merely "invalid". */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue.message;
  const messages = issue.errors.flatMap((option) => (option[0] ? [messageOf(option[0])] : []));
  return [...new Set(messages)].slice(0, 4).join(', or ') || issue.message;
}

type Entry = readonly [string, unknown];

/** `metadata[team]=a` -> metadata: {team: a}. One level: nothing public nests deeper. */
function unbracket(entries: readonly Entry[]): Map<string, unknown> {
  const result = new Map<string, unknown>();
  for (const [key, value] of entries) {
    const match = /^([^[\]]+)\[([^[\]]*)\]$/.exec(key);
    const [, outer, inner] = match ?? [];
    if (outer === undefined || inner === undefined) {
      result.set(key, value);
    } else if (inner === '') {
      result.set(outer, value);
    } else {
      const before = result.get(outer);
      const map = typeof before === 'object' && before !== null ? Object.entries(before) : [];
      result.set(outer, Object.fromEntries([...map, [inner, value]]));
    }
  }
  return result;
}

function coerce(schema: z.core.$ZodType, value: unknown): unknown {
  const inner = innerOf(schema);
  if (inner) return coerce(inner, value);
  if (schema instanceof z.core.$ZodNumber && typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value)) {
    return Number(value);
  }
  if (schema instanceof z.core.$ZodBoolean && (value === 'true' || value === 'false')) return value === 'true';
  if (schema instanceof z.core.$ZodArray && !Array.isArray(value)) return [value];
  return value;
}
