import { AppError } from '@luthier/contracts';
import type { ArtifactManifest, ModelFiles } from '@luthier/contracts';
import { artifactUri } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { copyModelFolder, sizeOf } from './model-folder.js';

type Form = ModelFiles['form'];
type Files = ArtifactManifest['files'];

const WEIGHTS = 'model.safetensors';
/** What lies in a folder of each form, and what never does. */
const CONTENTS: Readonly<Record<Form, { readonly needed: readonly string[]; readonly foreign: readonly string[] }>> = {
  whole: {
    needed: ['config.json', 'tokenizer.json', 'tokenizer_config.json', WEIGHTS],
    foreign: ['adapter_config.json', 'adapter_model.safetensors'],
  },
  adapter: { needed: ['adapter_config.json', 'adapter_model.safetensors'], foreign: [WEIGHTS] },
};
const NAMES: Readonly<Record<Form, string>> = { whole: 'a whole model', adapter: 'an adapter' };

/**
 * A folder is what it is called: an adapter is never taken for a model, nor a model for an adapter.
 * @throws AppError `model.unreadable`.
 */
function checkForm(form: Form, files: Files): void {
  const names = new Set(files.map(({ name }) => name));
  const { needed, foreign } = CONTENTS[form];
  const missing = needed.filter((name) => !names.has(name)).map((name) => `no ${name}`);
  const wrong = [...missing, ...foreign.filter((name) => names.has(name))];
  if (wrong.length === 0) return;
  throw new AppError('model.unreadable', `What the run has left is not ${NAMES[form]}: there is ${wrong.join(', ')}`);
}

export interface TunedFiles {
  readonly files: ModelFiles;
  readonly sizeBytes: number;
  /** Of the weights alone; null for an adapter. */
  readonly weightBytes: number | null;
}

/**
 * Copies what a run has made to where the model keeps it, so that runs may be deleted.
 * @throws AppError `model.unreadable` when it is not of the form that it is announced as.
 */
export async function copyTunedFiles(store: ArtifactStore, modelId: string, made: ModelFiles): Promise<TunedFiles> {
  const check = (files: Files): void => checkForm(made.form, files);
  if (made.form === 'adapter') {
    const uri = artifactUri('models', modelId, 'adapter');
    const { files, ...adapter } = await copyModelFolder(store, made.adapter, uri, check);
    return { files: { form: 'adapter', adapter }, sizeBytes: sizeOf(files), weightBytes: null };
  }
  const uri = artifactUri('models', modelId, 'weights');
  const { files, ...weights } = await copyModelFolder(store, made.weights, uri, check);
  const weightBytes = sizeOf(files.filter(({ name }) => name === WEIGHTS));
  return { files: { form: 'whole', weights }, sizeBytes: sizeOf(files), weightBytes };
}
