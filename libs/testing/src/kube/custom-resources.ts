import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { waitFor } from '../wait-for.js';
import { ifFound } from './kube-api.js';
import type { KubeApi } from './kube-api.js';
import type { KubeObject } from './objects.js';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Applies the custom resource definitions of a folder, and waits until the API server serves them. @returns their names */
export async function applyDefinitions(api: KubeApi, folder: string): Promise<string[]> {
  type Definition = KubeObject & { status?: { conditions?: { type: string; status: string }[] } };
  const names: string[] = [];
  for (const file of await readdir(folder)) {
    const definition = parse(await readFile(join(folder, file), 'utf8')) as Definition;
    if (definition.kind !== 'CustomResourceDefinition') continue;
    const applied = await api.apply(definition);
    names.push(applied.metadata?.name ?? '');
  }
  const served = async (name: string): Promise<boolean> => {
    const found = await api.get<Definition>(`${DEFINITIONS}/${name}`);
    return found.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') === true;
  };
  for (const name of names) await waitFor(() => served(name), { what: `${name} to be served` });
  return names;
}

/** With all objects of theirs, and waits until they are gone. */
export async function removeDefinitions(api: KubeApi, names: readonly string[]): Promise<void> {
  for (const name of names) await ifFound(api.delete(`${DEFINITIONS}/${name}`));
  const gone = async (name: string): Promise<boolean> =>
    (await ifFound(api.get(`${DEFINITIONS}/${name}`))) === undefined;
  for (const name of names) await waitFor(() => gone(name), { what: `${name} to be gone` });
}
