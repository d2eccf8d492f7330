import { basename, dirname, join, resolve } from 'node:path';
import { stat } from 'node:fs/promises';
import { AppError } from '@luthier/contracts';
import { readModelConfig } from '@luthier/formats';
import { countedShape } from '@luthier/planner';
import type { KnownModel } from '@luthier/planner';

/**
 * The model of a Hugging Face folder, or of its config.json.
 * @throws FormatError that names the field; AppError `model.unreadable` where there is no config.json.
 */
export async function modelOfFolder(path: string): Promise<KnownModel> {
  const folder = await folderOf(path).catch((cause: unknown) => refuse(path, cause));
  const config = await readModelConfig(folder).catch((cause: unknown) => refuse(join(folder, 'config.json'), cause));
  return {
    title: basename(folder),
    shape: countedShape({
      ...{ architecture: config.architecture, hiddenSize: config.hiddenSize, layers: config.layers },
      ...{ intermediateSize: config.intermediateSize, heads: config.attentionHeads, kvHeads: config.keyValueHeads },
      ...{ headDim: config.headDim, vocabularySize: config.vocabSize, tiedEmbeddings: config.tieWordEmbeddings },
      contextLength: config.maxPositionEmbeddings,
    }),
  };
}

async function folderOf(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? resolve(path) : dirname(resolve(path));
}

function refuse(path: string, cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw cause;
  throw new AppError('model.unreadable', `There is no ${path}`, {
    hint: 'Name a Hugging Face folder: one with config.json in it. Its weights need not be there.',
    cause,
  });
}
