import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AppError, checkpointManifest, checkpointReport } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import type { MessageBus } from '@luthier/messaging';
import type { IncarnationKey } from './run-publisher.js';

export interface CommittedCheckpoint {
  step: number;
  uri: string;
  sha256: string;
}

interface Found {
  step: number;
  attempt: number;
  incarnation: number;
  uri: string;
}

const NAME = 'checkpoint.json';
/** A runner waits for its answer, and a store elsewhere takes some time for each. */
const STATS_AT_ONCE = 16;
const PATTERN = /^artifact:\/\/runs\/[^/]+\/(\d+)\/(\d+)\/checkpoint-(\d+)\/checkpoint\.json$/;
const evaluations = z.record(z.string(), z.number());

/** A checkpoint exists when its `checkpoint.json` does; this is the only place that writes one. */
export class Checkpoints {
  /** Notes that the store has not taken yet, by run. */
  private readonly unsaved = new Map<string, Record<string, number>>();
  private saving: Promise<void> | undefined;

  constructor(
    private readonly store: ArtifactStore,
    private readonly bus: Pick<MessageBus, 'publishRunMessage'>,
  ) {}

  /**
   * Takes one node's share. The last one commits the checkpoint; a share reported twice counts once, by whichever
   * replica it comes.
   * @returns undefined while other nodes have not reported.
   */
  async report(
    key: IncarnationKey,
    report: z.output<typeof checkpointReport>,
    nodes: number,
  ): Promise<CommittedCheckpoint | undefined> {
    if (nodes === 1) return this.commit(key, report);
    const { runId, attempt, incarnation } = key;
    const shareUri = (node: number): string =>
      `artifact://runs/${runId}/${attempt}/${incarnation}/checkpoint-${report.step}/node-${node}.json`;
    await this.store.put(shareUri(report.node), JSON.stringify(report));
    const shares: z.output<typeof checkpointReport>[] = [];
    for (let node = 0; node < nodes; node++) {
      const bytes = await this.readIfThere(shareUri(node));
      if (!bytes) return undefined;
      shares.push(checkpointReport.parse(JSON.parse(bytes.toString())));
    }
    // A file that every node has, such as the settings, is stored once.
    const files = new Map(shares.flatMap((share) => share.files).map((file) => [file.name, file]));
    return this.commit(key, { ...report, files: [...files.values()] });
  }

  /**
   * Verifies that every file is there with its size, makes the checkpoint exist and says so on the run stream.
   * @throws AppError `request.invalid` when a file is missing or has another size.
   */
  async commit(key: IncarnationKey, report: z.output<typeof checkpointReport>): Promise<CommittedCheckpoint> {
    const { step, files } = report;
    const { runId, attempt, incarnation } = key;
    const uri = `artifact://runs/${runId}/${attempt}/${incarnation}/checkpoint-${step}`;
    const sizes = await this.sizesOf(uri, files);
    for (const { name, sizeBytes } of files) {
      const found = sizes.get(name);
      if (found !== sizeBytes) {
        throw new AppError(
          'request.invalid',
          `checkpoint ${step}: ${name} has ${found ?? 'no'} bytes, not ${sizeBytes}`,
        );
      }
    }
    const manifest = checkpointManifest.parse({ version: 1, runId, attempt, incarnation, step, files });
    const text = JSON.stringify(manifest);
    const sha256 = createHash('sha256').update(text).digest('hex');
    await this.store.put(`${uri}/${NAME}`, text);
    await this.bus.publishRunMessage({
      ...key,
      event: { type: 'checkpoint-stored', time: new Date().toISOString(), step, uri, sha256 },
    });
    return { step, uri, sha256 };
  }

  /** The one to resume from: the furthest step over all attempts and incarnations. */
  async newest(runId: string): Promise<CommittedCheckpoint | undefined> {
    for (const found of (await this.all(runId)).reverse()) {
      const bytes = await this.readIfThere(`${found.uri}/${NAME}`);
      if (!bytes) continue; // removed in between by pruning
      return { step: found.step, uri: found.uri, sha256: createHash('sha256').update(bytes).digest('hex') };
    }
    return undefined;
  }

  /**
   * Remembers how good a step was, so that the best checkpoint is kept. Nobody waits for it: what a store that is away
   * cannot take is written with the next, or before the next pruning.
   */
  noteEvaluation(runId: string, step: number, loss: number): void {
    this.unsaved.set(runId, { ...this.unsaved.get(runId), [step]: loss });
    this.saving ??= this.saveAll().finally(() => (this.saving = undefined));
  }

  private async saveAll(): Promise<void> {
    for (const runId of this.unsaved.keys()) {
      const saved = await this.saveEvaluations(runId).then(
        () => true,
        () => false,
      );
      if (!saved) return;
    }
  }

  private async saveEvaluations(runId: string): Promise<void> {
    const notes = this.unsaved.get(runId);
    if (!notes) return;
    await this.store.put(evaluationsUri(runId), JSON.stringify({ ...(await this.evaluations(runId)), ...notes }));
    if (this.unsaved.get(runId) === notes) this.unsaved.delete(runId);
  }

  /** Removes all but the newest `keepLast` and the best. */
  async prune(runId: string, keepLast: number): Promise<void> {
    await this.saving;
    await this.saveEvaluations(runId);
    const all = await this.all(runId);
    const losses = await this.evaluations(runId);
    const lossOf = ({ step }: Found): number => losses[String(step)] ?? Number.POSITIVE_INFINITY;
    const best = all.reduce<Found | undefined>(
      (least, one) => (lossOf(one) < (least ? lossOf(least) : Number.POSITIVE_INFINITY) ? one : least),
      undefined,
    );
    for (const one of all.slice(0, -keepLast)) {
      if (one.uri === best?.uri) continue;
      await this.store.remove(`${one.uri}/${NAME}`); // first: from now on it does not exist
      await this.store.remove(one.uri);
    }
  }

  private async sizesOf(uri: string, files: readonly { name: string }[]): Promise<Map<string, number | undefined>> {
    const sizes = new Map<string, number | undefined>();
    for (let from = 0; from < files.length; from += STATS_AT_ONCE) {
      const part = files.slice(from, from + STATS_AT_ONCE);
      await Promise.all(
        part.map(async ({ name }) => sizes.set(name, (await this.store.stat(`${uri}/${name}`))?.sizeBytes)),
      );
    }
    return sizes;
  }

  private async readIfThere(uri: string): Promise<Buffer | undefined> {
    return readArtifact(this.store, uri).catch((cause: unknown) => {
      if (cause instanceof AppError && cause.code === 'storage.not-found') return undefined;
      throw cause; // out of reach is not the same as not there
    });
  }

  private async evaluations(runId: string): Promise<Record<string, number>> {
    const bytes = await this.readIfThere(evaluationsUri(runId));
    if (!bytes) return {};
    try {
      return evaluations.parse(JSON.parse(bytes.toString()));
    } catch {
      return {}; // a broken note costs one kept checkpoint
    }
  }

  /** Committed ones by rising step, then attempt, then incarnation. */
  private async all(runId: string): Promise<Found[]> {
    const found: Found[] = [];
    let after: string | undefined;
    do {
      const page = await this.store.list(`artifact://runs/${runId}`, after === undefined ? {} : { after });
      for (const { uri } of page.items) {
        const [, attempt, incarnation, step] = PATTERN.exec(uri) ?? [];
        if (step === undefined) continue;
        found.push({
          step: Number(step),
          attempt: Number(attempt),
          incarnation: Number(incarnation),
          uri: uri.slice(0, -NAME.length - 1),
        });
      }
      after = page.next;
    } while (after !== undefined);
    return found.sort((a, b) => a.step - b.step || a.attempt - b.attempt || a.incarnation - b.incarnation);
  }
}

const evaluationsUri = (runId: string): string => `artifact://runs/${runId}/evaluations.json`;
