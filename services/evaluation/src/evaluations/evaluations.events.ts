import { modelDeleted } from '@luthier/contracts';
import type { EventOf } from '@luthier/contracts';
import { OnEvent } from '@luthier/messaging';
import type { Delivery } from '@luthier/messaging';
import { Injectable } from '@nestjs/common';
import { EvaluationStore } from './evaluation.store.js';

@Injectable()
export class EvaluationsEvents {
  constructor(private readonly store: EvaluationStore) {}

  @OnEvent(modelDeleted, { consumer: 'evaluation' })
  async onModelDeleted({ modelId }: EventOf<typeof modelDeleted>, { eventId }: Delivery): Promise<void> {
    await this.store.deleteOfModel(modelId, eventId);
  }
}
