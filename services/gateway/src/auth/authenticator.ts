import type { FastifyRequest } from 'fastify';
import { Injectable } from '@nestjs/common';
import { AppError } from '@luthier/contracts';
import { isKnownHash, secretHash } from './api-key.js';
import { KeyStore } from './key.store.js';
import { isSameOrigin } from './same-origin.js';
import { SESSION_COOKIE } from './session-cookie.js';
import { SessionStore } from './session.store.js';
import type { Session } from './session.store.js';

export type Identity = { via: 'key' } | { via: 'session'; session: Session };

/** Keys change hardly ever: they are read again after this time, or at once when an unknown one is shown. */
const KEYS_FRESH_MS = 10_000;
const UNKNOWN_RECHECK_MS = 1_000;

/** Who asks: by the header `Authorization: Bearer`, else by the session cookie. */
@Injectable()
export class Authenticator {
  private hashes: string[] = [];
  private readAt = 0;
  private readonly identities = new WeakMap<FastifyRequest, Identity>();

  constructor(
    private readonly keys: KeyStore,
    private readonly sessions: SessionStore,
  ) {}

  /** @throws AppError `auth.missing`, `auth.wrong-key`, `auth.foreign-origin` */
  async require(request: FastifyRequest): Promise<Identity> {
    const identity = await this.identify(request);
    this.identities.set(request, identity);
    return identity;
  }

  /** Like `require`, and undefined for whoever is not signed in. */
  async find(request: FastifyRequest): Promise<Identity | undefined> {
    const known = this.identities.get(request);
    if (known) return known;
    return this.identify(request).catch((thrown: unknown) => {
      if (thrown instanceof AppError && thrown.code.startsWith('auth.')) return undefined;
      throw thrown;
    });
  }

  /** Whether this is a key of the installation. */
  async accepts(key: string): Promise<boolean> {
    const hash = secretHash(key);
    if (isKnownHash(hash, await this.knownHashes(KEYS_FRESH_MS))) return true;
    return isKnownHash(hash, await this.knownHashes(UNKNOWN_RECHECK_MS));
  }

  private async identify(request: FastifyRequest): Promise<Identity> {
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      const key = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
      if (key === undefined) throw new AppError('auth.missing', 'The header Authorization must be "Bearer <key>"');
      if (await this.accepts(key)) return { via: 'key' };
      throw new AppError('auth.wrong-key');
    }
    const token = request.cookies[SESSION_COOKIE];
    if (token === undefined || token === '') throw new AppError('auth.missing');
    const session = await this.sessions.find(secretHash(token));
    if (!session) throw new AppError('auth.missing', 'The session has ended: sign in again');
    if (request.method !== 'GET' && request.method !== 'HEAD' && !isSameOrigin(request.headers)) {
      throw new AppError('auth.foreign-origin');
    }
    return { via: 'session', session };
  }

  private async knownHashes(freshMs: number): Promise<string[]> {
    if (Date.now() - this.readAt > freshMs) {
      this.hashes = await this.keys.hashes();
      this.readAt = Date.now();
    }
    return this.hashes;
  }
}
