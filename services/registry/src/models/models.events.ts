import { Injectable } from '@nestjs/common';
import { evaluationCompleted, evaluationFailed, jobSucceeded } from '@luthier/contracts';
import type { EventOf } from '@luthier/contracts';
import { OnEvent } from '@luthier/messaging';
import type { Delivery } from '@luthier/messaging';
import { ModelStore } from './model.store.js';

/** What evaluation found out becomes the model's proof. */
@Injectable()
export class ModelsEvents {
  constructor(private readonly store: ModelStore) {}

  @OnEvent(evaluationCompleted, { consumer: 'registry' })
  async completed(event: EventOf<typeof evaluationCompleted>, { eventId }: Delivery): Promise<void> {
    await this.store.setProof(eventId, event.modelId, event.verdict, event.verdictReason);
  }

  @OnEvent(evaluationFailed, { consumer: 'registry' })
  async failed(event: EventOf<typeof evaluationFailed>, { eventId }: Delivery): Promise<void> {
    await this.store.setProof(eventId, event.modelId, 'unproven', `The evaluation failed: ${event.message}`);
  }

  /** A job may end without an evaluation, or without waiting for it any longer. */
  @OnEvent(jobSucceeded, { consumer: 'registry' })
  async trained(event: EventOf<typeof jobSucceeded>, { eventId }: Delivery): Promise<void> {
    if (event.modelId === null || event.unprovenBecause === null) return;
    await this.store.explainUnproven(eventId, event.modelId, event.unprovenBecause);
  }
}
