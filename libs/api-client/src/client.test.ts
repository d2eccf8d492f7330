import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import openapiTS, { COMMENT_HEADER, astToString } from 'openapi-typescript';
import { ApiError, createClient, unwrap, uploadFile } from './index.js';

describe('the generated types', () => {
  it('are those of the document (else: pnpm --filter @luthier/api-client generate)', async () => {
    const document = new URL('../openapi.generated.json', import.meta.url);
    const generated = readFileSync(new URL('./schema.generated.ts', import.meta.url), 'utf8');
    expect(`${COMMENT_HEADER}${astToString(await openapiTS(document))}`).toBe(generated);
  });
});

describe('the client', () => {
  const seen: { request: IncomingMessage; body: string }[] = [];
  let answer: { status: number; body: string; type: string };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (part: string) => (body += part));
    request.on('end', () => {
      seen.push({ request, body });
      response.writeHead(answer.status, { 'content-type': answer.type, 'x-request-id': 'req_1' }).end(answer.body);
    });
  });
  let baseUrl = '';

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => void server.close());

  it('sends the key and encodes names with slashes', async () => {
    answer = { status: 200, body: '{"id":"a/b:c"}', type: 'application/json' };
    const client = createClient({ baseUrl, apiKey: 'lk-x' });
    const model = await unwrap(client.GET('/v1/models/{model}', { params: { path: { model: 'a/b:c' } } }));
    expect(model.id).toBe('a/b:c');
    expect(seen.at(-1)?.request).toMatchObject({
      url: '/v1/models/a%2Fb%3Ac',
      headers: { authorization: 'Bearer lk-x' },
    });
  });

  it('sends no key without one: a browser has its cookie', async () => {
    answer = { status: 200, body: '{"version":"1","ready":true}', type: 'application/json' };
    await unwrap(createClient({ baseUrl }).GET('/api/v1/status'));
    expect(seen.at(-1)?.request.headers.authorization).toBeUndefined();
  });

  it('uploads a file as multipart', async () => {
    answer = { status: 200, body: '{"id":"file-1"}', type: 'application/json' };
    const content = new Blob(['rows']);
    await uploadFile(createClient({ baseUrl }), { content, filename: 'r.jsonl', purpose: 'evals' });
    const { request, body } = seen.at(-1) ?? {};
    expect(request?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(body).toMatch(/name="purpose"\r\n\r\nevals[^]*filename="r.jsonl"[^]*rows/);
  });

  it.each([
    [
      '{"error":{"message":"No","type":"t","param":"model","code":"model.not-found","hint":"Import"}}',
      'application/json',
    ],
    ['{"detail":"No","param":"model","code":"model.not-found","hint":"Import"}', 'application/problem+json'],
  ])('throws one kind of error for both forms: %s', async (body, type) => {
    answer = { status: 404, body, type };
    const call = unwrap(createClient({ baseUrl }).GET('/v1/models'));
    await expect(call).rejects.toBeInstanceOf(ApiError);
    await expect(unwrap(createClient({ baseUrl }).GET('/v1/models'))).rejects.toMatchObject({
      status: 404,
      message: 'No',
      code: 'model.not-found',
      param: 'model',
      hint: 'Import',
      requestId: 'req_1',
    });
  });

  it('hands on what is in the way of a run, from either form', async () => {
    const obstacle = { reason: 'no-nodes', params: {}, nearest: null };
    const body = { code: 'plan.does-not-fit', obstacle };
    for (const sent of [{ ...body, detail: 'No' }, { error: { ...body, message: 'No' } }]) {
      answer = { status: 400, body: JSON.stringify(sent), type: 'application/json' };
      await expect(unwrap(createClient({ baseUrl }).GET('/v1/models'))).rejects.toMatchObject({ obstacle });
    }
    answer = { status: 400, body: '{"detail":"No","obstacle":"none"}', type: 'application/problem+json' };
    await expect(unwrap(createClient({ baseUrl }).GET('/v1/models'))).rejects.toMatchObject({ obstacle: null });
  });

  it('tells the status when something else answered', async () => {
    answer = { status: 502, body: '<html>', type: 'text/html' };
    await expect(unwrap(createClient({ baseUrl }).GET('/v1/models'))).rejects.toMatchObject({
      status: 502,
      code: null,
    });
  });
});
