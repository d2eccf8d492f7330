import { basename, dirname, resolve } from 'node:path';
import { stat } from 'node:fs/promises';
import { readModelConfig } from '@luthier/formats';
import { countedShape } from '@luthier/planner';
import type { KnownModel } from '@luthier/planner';

/** The model of a Hugging Face folder, or of its config.json. @throws FormatError that names the field. */
export async function modelOfFolder(path: string): Promise<KnownModel> {
  const folder = (await stat(path)).isDirectory() ? resolve(path) : dirname(resolve(path));
  const config = await readModelConfig(folder);
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
