import { z } from 'zod';
import { ERRORS } from '@luthier/contracts';
import type { ErrorCode } from '@luthier/contracts';
import { mayBeLeftOut } from '../http/parse.js';
import { ROUTES } from '../http/route-table.js';
import { TAGS } from '../http/route.js';
import type { RouteDefinition } from '../http/route.js';
import { snakeName } from '../http/snake-case.js';
import { SESSION_COOKIE } from '../auth/session-cookie.js';
import { describeAnswers, describeInput } from './components.js';
import type { JsonSchema } from './components.js';

/** Codes any route may answer with. */
const COMMON: readonly ErrorCode[] = ['service.unavailable', 'request.timeout', 'internal'];

const isOpenAiRoute = (path: string): boolean => path.startsWith('/v1/');

/** All codes of a route: its own and those that follow from what it takes. */
export function errorsOf(route: RouteDefinition): ErrorCode[] {
  const codes = new Set<ErrorCode>([...(route.errors ?? []), ...COMMON]);
  if (route.params || route.query || route.body) codes.add('request.invalid');
  if (route.body) codes.add('request.too-large');
  if (route.auth !== 'none') {
    codes.add('auth.missing').add('auth.wrong-key');
    if (route.method !== 'GET') codes.add('auth.foreign-origin');
  }
  return [...codes];
}

function parametersOf(route: RouteDefinition): JsonSchema[] {
  const parameters: JsonSchema[] = [];
  for (const [place, schema] of [
    ['path', route.params],
    ['query', route.query],
  ] as const) {
    for (const [key, member] of Object.entries(schema?.shape ?? {})) {
      const described = describeInput(member as z.ZodType);
      const { description } = described;
      delete described['description'];
      parameters.push({
        name: snakeName(key),
        in: place,
        required: place === 'path' || !z.safeParse(member as z.ZodType, undefined).success,
        ...(description !== undefined && { description }),
        ...(described['type'] === undefined && { style: 'deepObject' }),
        schema: described,
      });
    }
  }
  if (route.id === 'streamJob') {
    parameters.push({
      name: 'Last-Event-ID',
      in: 'header',
      required: false,
      description: 'Sent by an EventSource when it connects again',
      schema: { type: 'integer', minimum: 0 },
    });
  }
  return parameters;
}

function errorAnswers(route: RouteDefinition): Record<string, JsonSchema> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorsOf(route)) {
    const { httpStatus } = ERRORS[code];
    byStatus.set(httpStatus, [...(byStatus.get(httpStatus) ?? []), code]);
  }
  const openai = isOpenAiRoute(route.path);
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, codes]) => [
        String(status),
        {
          description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('; '),
          content: {
            [openai ? 'application/json' : 'application/problem+json']: {
              schema: { $ref: `#/components/schemas/${openai ? 'OpenAIError' : 'Problem'}` },
            },
          },
        },
      ]),
  );
}

function successAnswer(route: RouteDefinition, schema: JsonSchema | undefined): JsonSchema {
  const { answer } = route;
  const content = answer.contentType
    ? { [answer.contentType]: { schema: { type: 'string' } } }
    : schema && { 'application/json': { schema } };
  return {
    description: answer.description,
    headers: { 'x-request-id': { description: 'Name of this request in the logs', schema: { type: 'string' } } },
    ...(content && { content }),
  };
}

function operationOf(route: RouteDefinition, answerSchema: JsonSchema | undefined): JsonSchema {
  const parameters = parametersOf(route);
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    ...(route.auth === 'none' && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && {
      requestBody: {
        required: !mayBeLeftOut(route.body),
        content: {
          [route.multipart === true ? 'multipart/form-data' : 'application/json']: {
            schema: describeInput(route.body),
          },
        },
      },
    }),
    responses: { [String(route.answer.status)]: successAnswer(route, answerSchema), ...errorAnswers(route) },
  };
}

/** The OpenAPI document of the whole public API; the same for every installation. */
export function buildOpenApi(version: string): JsonSchema {
  const answers = new Map<string, z.ZodType>();
  for (const { id, answer } of ROUTES) if (answer.schema) answers.set(id, answer.schema);
  const { components, byKey } = describeAnswers(answers);
  const paths: Record<string, JsonSchema> = {};
  for (const route of ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route, byKey.get(route.id)) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Luthier',
      version,
      description: 'Under /v1 the files, fine-tuning, models and chat contract of OpenAI; under /api/v1 the platform.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: TAGS.map((name) => ({ name })),
    security: [{ apiKey: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        apiKey: { type: 'http', scheme: 'bearer', description: 'The key of this installation, `lk-…`' },
        session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE, description: 'Set by signing in' },
      },
      schemas: components,
    },
  };
}
