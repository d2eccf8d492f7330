import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeApi } from '../kube-api.js';
import type { KubeObject } from '../objects.js';

const RETRY_MS = 200;

/**
 * Lists and watches objects until `signal` is aborted, and begins anew with a list after every fault.
 * @param onList all that are there, at the beginning and after every fault.
 */
export async function followObjects<T extends KubeObject>(
  api: KubeApi,
  path: string,
  listeners: { onList: (objects: readonly T[]) => void; onChange: (object: T, deleted: boolean) => void },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const { items, metadata } = await api.get<{ items: T[]; metadata: { resourceVersion: string } }>(path);
      listeners.onList(items);
      const { resourceVersion } = metadata;
      for await (const { type, object } of api.watch<T>(path, { resourceVersion }, signal)) {
        if (type === 'ERROR') break; // its history is gone
        listeners.onChange(object, type === 'DELETED');
      }
    } catch {
      // The server is away; what is missed is in the next list.
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}
