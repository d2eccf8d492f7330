import { Inject, Injectable } from '@nestjs/common';
import { DATABASE } from '@luthier/service-kit';
import type { Database } from '@luthier/service-kit';
import { apiKeys } from '../db/schema.js';
import { KeyStore } from './key.store.js';

@Injectable()
export class PgKeyStore extends KeyStore {
  constructor(@Inject(DATABASE) private readonly database: Database) {
    super();
  }

  async hashes(): Promise<string[]> {
    const rows = await this.database.select({ hash: apiKeys.hash }).from(apiKeys);
    return rows.map((row) => row.hash);
  }

  async addFirst(hash: string): Promise<boolean> {
    const added = await this.database
      .insert(apiKeys)
      .values({ name: 'installation', hash })
      .onConflictDoNothing()
      .returning({ name: apiKeys.name });
    return added.length > 0;
  }
}
