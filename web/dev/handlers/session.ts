import { Refusal } from './call.js';
import type { Handler } from './call.js';

export const FAKE_KEY = 'lk-of-the-fake-api';
export const COOKIE = 'luthier_session=of-the-fake-api';
const session = { signed_in: true, via: 'session', expires_at: null };

export const SESSION_HANDLERS: Record<string, Handler> = {
  'POST /api/v1/session': ({ body, response }) => {
    const { key } = JSON.parse(body) as { key: string };
    if (key !== FAKE_KEY) throw new Refusal(401, 'auth.wrong-key', 'The API key is not known', 'Copy it whole.');
    response.setHeader('set-cookie', `${COOKIE}; Path=/; HttpOnly; SameSite=Strict`);
    return session;
  },
  'GET /api/v1/session': () => session,
  'DELETE /api/v1/session': ({ response }) => {
    response.setHeader('set-cookie', 'luthier_session=; Path=/; Max-Age=0');
    response.statusCode = 204;
    return undefined;
  },
};
