import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '@luthier/contracts';
import type { ErrorCode } from '@luthier/contracts';
import type { EndpointClient } from './endpoint-client.js';
import { placeFile } from './files.js';
import { ObjectDownload, putObject } from './object-transfer.js';

/** An object that comes whole and with another SHA-256 is asked for once more, in case the way was at fault. */
const TRIES_OF_WRONG_CONTENT = 2;

export interface ExpectedObject {
  sha256: string;
  sizeBytes?: number;
  /** What it means when it is not there or not what was expected. */
  fault: ErrorCode;
}

/** The run's objects. Each try gets a URL of its own, so none has run out when it is used. */
export class ObjectStore {
  constructor(
    private readonly endpoint: EndpointClient,
    /** How long nothing may come of an object before it is given up. */
    private readonly patienceMs: number,
  ) {}

  /**
   * The path of an object: where it lies, unverified, when the store is on this file system; else `target`, complete and
   * with the expected SHA-256.
   * @throws AppError `fault`; `storage.unreachable` when the patience has ended.
   */
  async fetch(uri: string, target: string, expected: ExpectedObject, signal: AbortSignal): Promise<string> {
    const { sha256, sizeBytes = Number.POSITIVE_INFINITY, fault } = expected;
    if (await stat(target).catch(() => undefined)) return target; // of an earlier try of this attempt
    await mkdir(dirname(target), { recursive: true });
    const draft = `${target}.part`;
    const download = await ObjectDownload.into(draft);
    let deadline = Date.now() + this.patienceMs;
    let wrong = 0;
    /** Passing faults are tried again by whoever calls; after this nothing is. */
    const giveUp = (message: string): AppError => {
      deadline = 0;
      return new AppError(fault, message);
    };
    const work = async (): Promise<string> => {
      const url = await this.endpoint.objectUrl('read', uri);
      if (url.startsWith('file:')) return fileURLToPath(url);
      const before = download.sizeBytes;
      const isThere = await download.continue(url, sizeBytes, signal).finally(() => {
        if (download.sizeBytes > before) deadline = Date.now() + this.patienceMs;
      });
      if (!isThere) throw giveUp(`An input is not there: ${uri}`);
      if (download.sha256 === sha256) return target;
      const found = `${uri} has the sha256 ${download.sha256} instead of ${sha256}`;
      await download.restart();
      throw ++wrong < TRIES_OF_WRONG_CONTENT ? new AppError('storage.unreachable', found) : giveUp(found);
    };
    try {
      const path = await this.endpoint.persistently(work, () => deadline, signal);
      if (path !== target) return path;
      await download.sync();
      await rename(draft, target);
      return target;
    } finally {
      await download.close();
      await rm(draft, { force: true });
    }
  }

  /** Stores a file: a link or copy for `file://`, a PUT otherwise. */
  async store(source: string, uri: string, deadlineMs: () => number, signal: AbortSignal): Promise<void> {
    const { size } = await stat(source);
    await this.endpoint.persistently(
      async () => {
        const url = await this.endpoint.objectUrl('write', uri, size);
        if (url.startsWith('file:')) await placeFile(source, fileURLToPath(url));
        else await putObject(source, size, url, signal);
      },
      deadlineMs,
      signal,
    );
  }
}
