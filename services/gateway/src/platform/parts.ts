import {
  AppError,
  generateAnswers,
  getInventory,
  listCatalog,
  listEvaluations,
  listFiles,
  listJobs,
} from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';

export interface PartStatus {
  name: string;
  ready: boolean;
  message: string;
}

const TIMEOUT_MS = 2_000;
const FRESH_MS = 2_000;

/** Whether the other services answer; asked at most every two seconds, however many want to know. */
export class Parts {
  private last: { at: number; parts: Promise<PartStatus[]> } | undefined;

  constructor(private readonly bus: MessageBus) {}

  async all(): Promise<PartStatus[]> {
    if (!this.last || Date.now() - this.last.at > FRESH_MS) this.last = { at: Date.now(), parts: this.ask() };
    return this.last.parts;
  }

  private ask(): Promise<PartStatus[]> {
    const { bus } = this;
    const options = { timeoutMs: TIMEOUT_MS };
    // Inference has no request that costs nothing; the refusal of a model that cannot exist is an answer too.
    const nobody = { model: '-', conversations: [[{ role: 'user' as const, content: '-' }]] };
    return Promise.all([
      partStatus('datasets', bus.request(listFiles, { limit: 1 }, options)),
      partStatus('training', bus.request(listJobs, { limit: 1 }, options)),
      partStatus('trainer', bus.request(getInventory, {}, options)),
      partStatus('evaluation', bus.request(listEvaluations, { limit: 1 }, options)),
      partStatus('registry', bus.request(listCatalog, {}, options)),
      partStatus('inference', bus.request(generateAnswers, nobody, options)),
    ]);
  }
}

/** Any answer, even a refusal, says that the service is there. */
async function partStatus(name: string, answer: Promise<unknown>): Promise<PartStatus> {
  try {
    await answer;
    return { name, ready: true, message: 'ok' };
  } catch (thrown) {
    const error = AppError.from(thrown);
    const away = error.code === 'service.unavailable' || error.code === 'request.timeout' || error.code === 'internal';
    return { name, ready: !away, message: away ? error.message : 'ok' };
  }
}
