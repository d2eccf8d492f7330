import { z } from 'zod';
import { defineRoute } from '../http/route.js';

const session = z.object({
  signedIn: z.literal(true),
  via: z.enum(['key', 'session']),
  expiresAt: z.string().nullable(),
});

export const createSessionRoute = defineRoute({
  id: 'signIn',
  method: 'POST',
  path: '/api/v1/session',
  tag: 'Session',
  summary: 'Sign in a browser with the API key',
  description: 'Sets an HttpOnly, SameSite=Strict cookie.',
  auth: 'none',
  body: z.strictObject({ key: z.string().min(1).max(200) }),
  answer: { status: 201, description: 'Signed in', schema: session },
  errors: ['auth.wrong-key', 'request.rate-limited', 'auth.foreign-origin'],
});
export const getSessionRoute = defineRoute({
  id: 'getSession',
  method: 'GET',
  path: '/api/v1/session',
  tag: 'Session',
  summary: 'Who is signed in',
  answer: { status: 200, description: 'Signed in', schema: session },
});
export const deleteSessionRoute = defineRoute({
  id: 'signOut',
  method: 'DELETE',
  path: '/api/v1/session',
  tag: 'Session',
  summary: 'Sign out; the cookie is worth nothing afterwards',
  answer: { status: 204, description: 'Signed out' },
});

export const SESSION_ROUTES = [createSessionRoute, getSessionRoute, deleteSessionRoute] as const;
