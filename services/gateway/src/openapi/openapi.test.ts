import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ROUTES } from '../http/route-table.js';
import { VERSION } from '../version.js';
import { buildOpenApi, errorsOf } from './openapi.js';

const document = buildOpenApi(VERSION) as {
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
};
const copy = new URL('../../../../libs/api-client/openapi.generated.json', import.meta.url);

describe('the OpenAPI document', () => {
  it('is the one the client was generated from (else: pnpm --filter @luthier/api-client generate)', () => {
    expect(JSON.parse(readFileSync(copy, 'utf8'))).toEqual(JSON.parse(JSON.stringify(document)));
  });

  it('has every route once, with its parameters, body, answer and errors', () => {
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(operations.map(({ operationId }) => operationId).sort()).toEqual(ROUTES.map(({ id }) => id).sort());
    expect(new Set(ROUTES.map(({ id }) => id)).size).toBe(ROUTES.length);
    for (const route of ROUTES) {
      const operation = document.paths[route.path]?.[route.method.toLowerCase()];
      expect(Object.keys(operation?.responses ?? {})).toEqual(
        expect.arrayContaining([String(route.answer.status), '500', '503']),
      );
      const named = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(Object.keys(route.params?.shape ?? {})).toEqual(named);
      if (route.auth !== 'none') expect(errorsOf(route)).toContain('auth.missing');
    }
  });

  it('refers only to schemas that it has, and knows no camelCase field', () => {
    const text = JSON.stringify(document);
    const { components } = document as unknown as { components: { schemas: Record<string, unknown> } };
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(Object.keys(components.schemas)).toContain(name);
    }
    const fields: string[] = [];
    JSON.stringify(document, (property: string, value: unknown) => {
      if (property === 'properties' && typeof value === 'object' && value !== null) fields.push(...Object.keys(value));
      return value;
    });
    expect(fields.filter((field) => /[A-Z]/.test(field))).toEqual([]);
  });
});
