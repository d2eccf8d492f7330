import { ifFound } from '../kube-api.js';
import type { KubeApi } from '../kube-api.js';
import type { Container, EnvVar, Pod } from '../objects.js';
import { CannotStart } from './container-run.js';
import { expand } from './expand.js';
import { fieldRef, resourceFieldRef } from './field-ref.js';
import type { PodPlace } from './field-ref.js';

type Variables = Record<string, string>;

/**
 * The variables of a container as its pod renders them.
 * @param base what is there before them: of the image and of the kubelet.
 * @throws CannotStart when a Secret or ConfigMap is missing.
 */
export async function environmentOf(
  api: KubeApi,
  pod: Pod,
  container: Container,
  place: PodPlace,
  base: Readonly<Variables>,
): Promise<Variables> {
  const found: Variables = { ...base };
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const [kind, ref] = secretRef ? (['secret', secretRef] as const) : (['configmap', configMapRef] as const);
    const data = await dataOf(api, pod, kind, ref?.name ?? '', ref?.optional);
    for (const [key, value] of Object.entries(data ?? {})) found[prefix + key] = value;
  }
  for (const variable of container.env ?? []) {
    const value = await valueOf(api, pod, container, place, variable, found);
    if (value !== undefined) found[variable.name] = value;
  }
  return found;
}

async function valueOf(
  api: KubeApi,
  pod: Pod,
  container: Container,
  place: PodPlace,
  { value, valueFrom }: EnvVar,
  before: Readonly<Variables>,
): Promise<string | undefined> {
  if (!valueFrom) return expand(value ?? '', before);
  if (valueFrom.fieldRef) return fieldRef(pod, place, valueFrom.fieldRef.fieldPath);
  if (valueFrom.resourceFieldRef) return resourceFieldRef([container], place, valueFrom.resourceFieldRef, container);
  const [kind, ref] = valueFrom.secretKeyRef
    ? (['secret', valueFrom.secretKeyRef] as const)
    : (['configmap', valueFrom.configMapKeyRef] as const);
  const name = ref?.name ?? '';
  const key = ref?.key ?? '';
  const data = await dataOf(api, pod, kind, name, ref?.optional);
  const chosen = data?.[key];
  if (chosen === undefined && ref?.optional !== true) {
    const title = kind === 'secret' ? 'Secret' : 'ConfigMap';
    throw new CannotStart(
      'CreateContainerConfigError',
      `couldn't find key ${key} in ${title} ${pod.metadata.namespace}/${name}`,
    );
  }
  return chosen;
}

/** Decoded data; undefined where an optional object is not there. */
async function dataOf(
  api: KubeApi,
  { metadata }: Pod,
  kind: 'secret' | 'configmap',
  name: string,
  optional = false,
): Promise<Variables | undefined> {
  const bytes = await readData(api, metadata.namespace, kind, name);
  if (!bytes && !optional) throw new CannotStart('CreateContainerConfigError', `${kind} "${name}" not found`);
  return bytes && Object.fromEntries(Object.entries(bytes).map(([key, value]) => [key, value.toString()]));
}

/** What a Secret or ConfigMap holds; undefined when there is none. */
export async function readData(
  api: KubeApi,
  namespace: string,
  kind: 'secret' | 'configmap',
  name: string,
): Promise<Record<string, Buffer> | undefined> {
  type Data = { data?: Record<string, string>; binaryData?: Record<string, string> };
  const found = await ifFound(api.get<Data>(`/api/v1/namespaces/${namespace}/${kind}s/${name}`));
  if (!found) return undefined;
  const plain = kind === 'secret' ? {} : (found.data ?? {});
  const encoded = kind === 'secret' ? (found.data ?? {}) : (found.binaryData ?? {});
  return {
    ...Object.fromEntries(Object.entries(plain).map(([key, value]) => [key, Buffer.from(value)])),
    ...Object.fromEntries(Object.entries(encoded).map(([key, value]) => [key, Buffer.from(value, 'base64')])),
  };
}
