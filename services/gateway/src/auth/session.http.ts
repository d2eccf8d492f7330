import { randomBytes } from 'node:crypto';
import { AppError } from '@luthier/contracts';
import type { RouteBinding } from '../http/route.js';
import { bindRoute } from '../http/route.js';
import { secretHash } from './api-key.js';
import type { Authenticator } from './authenticator.js';
import { LoginLimit } from './login-limit.js';
import { isForeignOrigin } from './same-origin.js';
import { SESSION_COOKIE } from './session-cookie.js';
import { createSessionRoute, deleteSessionRoute, getSessionRoute } from './session.routes.js';
import type { SessionStore } from './session.store.js';

export interface SessionHandlers {
  authenticator: Authenticator;
  sessions: SessionStore;
  /** How long a browser stays signed in. */
  sessionSeconds: number;
  /** The cookie is sent over HTTPS only. */
  secureCookie: boolean;
}

export function sessionBindings(parts: SessionHandlers): RouteBinding[] {
  const { authenticator, sessions, sessionSeconds, secureCookie } = parts;
  const limit = new LoginLimit();
  const cookie = { path: '/', httpOnly: true, sameSite: 'strict', secure: secureCookie } as const;
  return [
    bindRoute(createSessionRoute, async ({ body, request, reply }) => {
      if (isForeignOrigin(request.headers)) throw new AppError('auth.foreign-origin');
      limit.check(request.ip);
      if (!(await authenticator.accepts(body.key))) {
        limit.failed(request.ip);
        throw new AppError('auth.wrong-key', undefined, { param: 'key' });
      }
      limit.succeeded(request.ip);
      const token = randomBytes(32).toString('base64url');
      const expiresAt = new Date(Date.now() + sessionSeconds * 1000);
      await sessions.removeExpired();
      await sessions.add({ id: secretHash(token), expiresAt });
      reply.setCookie(SESSION_COOKIE, token, { ...cookie, maxAge: sessionSeconds });
      return { signedIn: true as const, via: 'session' as const, expiresAt: expiresAt.toISOString() };
    }),
    bindRoute(getSessionRoute, async ({ request }) => {
      const identity = await authenticator.require(request);
      const expiresAt = identity.via === 'session' ? identity.session.expiresAt.toISOString() : null;
      return { signedIn: true as const, via: identity.via, expiresAt };
    }),
    bindRoute(deleteSessionRoute, async ({ request, reply }) => {
      const identity = await authenticator.require(request);
      if (identity.via === 'session') await sessions.remove(identity.session.id);
      reply.clearCookie(SESSION_COOKIE, cookie);
      return undefined;
    }),
  ];
}
