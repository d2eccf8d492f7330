import { Inject, Injectable } from '@nestjs/common';
import { and, eq, gt, lte, sql } from 'drizzle-orm';
import { DATABASE } from '@luthier/service-kit';
import type { Database } from '@luthier/service-kit';
import { sessions } from '../db/schema.js';
import { SessionStore } from './session.store.js';
import type { Session } from './session.store.js';

@Injectable()
export class PgSessionStore extends SessionStore {
  constructor(@Inject(DATABASE) private readonly database: Database) {
    super();
  }

  async add(session: Session): Promise<void> {
    await this.database.insert(sessions).values({ ...session });
  }

  async find(id: string): Promise<Session | undefined> {
    const [row] = await this.database
      .select({ id: sessions.id, expiresAt: sessions.expiresAt })
      .from(sessions)
      .where(and(eq(sessions.id, id), gt(sessions.expiresAt, sql`now()`)))
      .limit(1);
    return row;
  }

  async remove(id: string): Promise<void> {
    await this.database.delete(sessions).where(eq(sessions.id, id));
  }

  async removeExpired(): Promise<void> {
    await this.database.delete(sessions).where(lte(sessions.expiresAt, sql`now()`));
  }
}
