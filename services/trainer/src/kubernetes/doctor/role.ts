import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';

const names = z.array(z.string());
const rule = z.strictObject({ apiGroups: names.min(1), resources: names.min(1), verbs: names.min(1) });
const role = z.strictObject({ namespaced: z.array(rule), cluster: z.array(rule) });

export interface Permission {
  readonly verb: string;
  /** Empty for the core group. */
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  /** Of the whole cluster, not of the namespace of the runs. */
  readonly everywhere: boolean;
}

const permissionsOf = (rules: readonly z.output<typeof rule>[], everywhere: boolean): Permission[] =>
  rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((path) => {
        const [resource = '', subresource] = path.split('/');
        return verbs.map((verb) => ({
          ...{ verb, group, resource, everywhere },
          ...(subresource !== undefined && { subresource }),
        }));
      }),
    ),
  );

/** Every single permission of the role file that is shipped. @throws Error when the file cannot be read. */
export async function readPermissions(): Promise<Permission[]> {
  const text = await readFile(new URL('trainer-role.yaml', import.meta.url), 'utf8');
  const { namespaced, cluster } = role.parse(parse(text));
  return [...permissionsOf(namespaced, false), ...permissionsOf(cluster, true)];
}
