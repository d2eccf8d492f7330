import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { waitFor } from '../wait-for.js';
import type { KubeApi } from './kube-api.js';
import type { KubeObject } from './objects.js';

/** Applies the custom resource definitions of a folder, and waits until the API server serves them. */
export async function applyDefinitions(api: KubeApi, folder: string): Promise<void> {
  type Definition = KubeObject & { status?: { conditions?: { type: string; status: string }[] } };
  const names: string[] = [];
  for (const file of await readdir(folder)) {
    const applied = await api.apply(parse(await readFile(join(folder, file), 'utf8')) as Definition);
    names.push(applied.metadata?.name ?? '');
  }
  const served = async (name: string): Promise<boolean> => {
    const found = await api.get<Definition>(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`);
    return found.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') === true;
  };
  for (const name of names) await waitFor(() => served(name), { timeoutMs: 30_000, what: `${name} to be served` });
}
