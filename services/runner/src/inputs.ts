import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  ARTIFACT_MANIFEST_FILE,
  AppError,
  artifactManifest,
  checkpointManifest,
  preparedManifest,
  runRequest,
} from '@luthier/contracts';
import type { ArtifactRef, AttachAnswer, ErrorCode, RunRequest, RuntimeSpec } from '@luthier/contracts';
import type { ExpectedObject, ObjectStore } from './object-store.js';

const CHECKPOINT_FILE = 'checkpoint.json';
const DATASET_FILE = 'manifest.json';

interface ListedFile {
  name: string;
  sizeBytes?: number;
  sha256: string;
}

/** Brings what a run reads to local paths: used where it lies when the store is on this file system, else downloaded. */
export class Inputs {
  constructor(
    private readonly store: ObjectStore,
    /** Downloads go below here. */
    private readonly folder: string,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws AppError `config.bad` when the request is not what its sha256 promised. */
  async request({ requestUri, requestSha256 }: AttachAnswer): Promise<RunRequest> {
    const expected = { sha256: requestSha256, fault: 'config.bad' } as const;
    const { text } = await this.verified(requestUri, join(this.folder, 'request.json'), expected);
    const parsed = runRequest.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw new AppError('config.bad', 'The run request does not have the agreed form', { cause: parsed.error });
  }

  async runtimeSpec(
    request: RunRequest,
    attached: AttachAnswer,
    run: { runId: string; attempt: number; outputDir: string },
  ): Promise<RuntimeSpec> {
    const { owner: _owner, model, adapter, data, ...same } = request;
    const { train, heldOut } = data;
    const { resumeFrom } = attached;
    return {
      ...same,
      ...run,
      incarnation: attached.incarnation,
      modelDir: await this.artifact(model, 'model'),
      ...(adapter && { adapterDir: await this.artifact(adapter, 'adapter') }),
      data: {
        ...(train && { trainDir: await this.dataset(train, 'train') }),
        ...(heldOut && { heldOutDir: await this.dataset(heldOut, 'held-out') }),
      },
      ...(resumeFrom && { resumeFrom: await this.checkpoint(resumeFrom, `checkpoint-${resumeFrom.step}`) }),
    };
  }

  private artifact(ref: ArtifactRef, name: string): Promise<string> {
    return this.listedFolder(
      ref,
      ARTIFACT_MANIFEST_FILE,
      name,
      'model.unreadable',
      (json) => artifactManifest.parse(json).files,
    );
  }

  private dataset(ref: ArtifactRef, name: string): Promise<string> {
    return this.listedFolder(ref, DATASET_FILE, name, 'data.bad', (json) =>
      preparedManifest
        .parse(json)
        .shards.flatMap(({ file, sha256, items }) => [
          { name: file, sha256 },
          ...(items ? [{ name: items.file, sha256: items.sha256 }] : []),
        ]),
    );
  }

  private checkpoint(ref: { uri: string; sha256: string }, name: string): Promise<string> {
    return this.listedFolder(
      ref,
      CHECKPOINT_FILE,
      name,
      'storage.unreachable',
      (json) => checkpointManifest.parse(json).files,
    );
  }

  /** A folder whose manifest has the reference's sha256 and names every file with its own. */
  private async listedFolder(
    ref: { uri: string; sha256: string },
    manifestName: string,
    name: string,
    fault: ErrorCode,
    filesOf: (json: unknown) => ListedFile[],
  ): Promise<string> {
    const manifestUri = `${ref.uri}/${manifestName}`;
    const target = join(this.folder, name);
    const manifestPath = join(target, manifestName);
    const { text, path } = await this.verified(manifestUri, manifestPath, { sha256: ref.sha256, fault });
    let files: ListedFile[];
    try {
      files = filesOf(JSON.parse(text));
    } catch (cause) {
      throw new AppError(fault, `${manifestName} of ${name} cannot be read`, { cause });
    }
    for (const file of files) {
      if (file.name.startsWith('/') || file.name.split('/').includes('..')) {
        throw new AppError(fault, `${manifestName} of ${name} names a file outside its folder`);
      }
    }
    if (path !== manifestPath) {
      await checkSizes(dirname(path), files, fault);
      return dirname(path);
    }
    for (const { name: file, ...expected } of files) {
      await this.store.fetch(`${ref.uri}/${file}`, join(target, file), { ...expected, fault }, this.signal);
    }
    return target;
  }

  /** Text of a small object, and the path where it lies. */
  private async verified(
    uri: string,
    target: string,
    expected: ExpectedObject,
  ): Promise<{ text: string; path: string }> {
    const { sha256, fault } = expected;
    const path = await this.store.fetch(uri, target, expected, this.signal);
    const bytes = await readFile(path).catch((cause: unknown) => {
      throw new AppError(fault, `An input is not there: ${uri}`, { cause });
    });
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found !== sha256) throw new AppError(fault, `${uri} has the sha256 ${found} instead of ${sha256}`);
    return { text: bytes.toString(), path };
  }
}

/** Files that lie in the store itself were hashed when they came in; here only what is missing or cut is looked for. */
async function checkSizes(folder: string, files: readonly ListedFile[], fault: ErrorCode): Promise<void> {
  for (const { name, sizeBytes } of files) {
    const found = await stat(join(folder, name)).catch(() => undefined);
    if (!found?.isFile()) throw new AppError(fault, `An input is not there: ${name}`);
    if (sizeBytes !== undefined && found.size !== sizeBytes) {
      throw new AppError(fault, `An input is cut: ${name} has ${found.size} bytes instead of ${sizeBytes}`);
    }
  }
}
