export interface Session {
  /** Hash of the cookie's token. */
  readonly id: string;
  readonly expiresAt: Date;
}

/** Signed-in browsers. */
export abstract class SessionStore {
  abstract add(session: Session): Promise<void>;
  /** A session that has not expired. */
  abstract find(id: string): Promise<Session | undefined>;
  abstract remove(id: string): Promise<void>;
  abstract removeExpired(): Promise<void>;
}
