import { AppError, newId, readJobStream } from '@luthier/contracts';
import type { StreamEntry } from '@luthier/contracts';
import type { Responders } from './responders.js';

/** Training's side of a live stream: a numbered log that only grows. */
export class JobLog {
  readonly jobId = newId('job');
  readonly entries: StreamEntry[] = [];
  ended = false;
  reads = 0;

  constructor(private readonly responders: Responders) {
    responders.answer(readJobStream, ({ jobId, after, limit }) => {
      if (jobId !== this.jobId) throw new AppError('job.not-found');
      this.reads++;
      return { entries: this.entries.filter(({ id }) => id > after).slice(0, limit), ended: this.ended };
    });
  }

  /** Appends points, and pokes unless the poke is to be lost. */
  append(count: number, poke = true): void {
    for (let n = 0; n < count; n++) {
      const id = this.entries.length + 1;
      const points = [{ step: id, name: 'evaluationLoss', value: 1 / id }];
      this.entries.push({ id, type: 'metrics', data: { points } });
    }
    if (poke) this.responders.poke(this.jobId);
  }

  end(): void {
    this.ended = true;
    this.responders.poke(this.jobId);
  }
}

export interface SseEvent {
  id: number | undefined;
  type: string;
  data: unknown;
}

/** Reads events of a stream; ends with the stream. */
export async function* readSse(response: Response): AsyncGenerator<SseEvent> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(
        block
          .split('\n')
          .filter((line) => !line.startsWith(':'))
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      const type = fields.get('event');
      if (type === undefined) continue;
      const id = fields.get('id');
      yield { id: id === undefined ? undefined : Number(id), type, data: JSON.parse(fields.get('data') ?? 'null') };
    }
  }
}
