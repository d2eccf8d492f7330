import type { KubeObject, Reflector } from '@luthier/kube';
import type { AttemptKey } from '../../runs/run-executor.js';
import { attemptOfLabels } from '../names.js';

/** Objects that are gone may still be spoken of; of so many it is remembered whose they were. */
const MAX_GONE = 10_000;

/** Whose an object is, by its UID: names can be used again. */
export class ObjectOwners {
  private readonly attempts = new Map<string, AttemptKey>();
  /** Of objects that bear no labels of ours, such as Kueue's records: what they belong to. */
  private readonly parents = new Map<string, string>();
  private readonly gone = new Set<string>();

  /** Learns from what a watch shows. */
  follow(watch: Pick<Reflector<KubeObject>, 'onChange'>): void {
    watch.onChange((_key, now, before) => {
      const { uid, labels, ownerReferences } = (now ?? before)?.metadata ?? {};
      if (uid === undefined) return;
      if (!now) return this.remove(uid);
      const attempt = attemptOfLabels(labels);
      const parent = ownerReferences?.[0]?.uid;
      if (attempt) this.attempts.set(uid, attempt);
      else if (parent !== undefined) this.parents.set(uid, parent);
    });
  }

  of(uid: string): AttemptKey | undefined {
    return this.attempts.get(uid) ?? this.attempts.get(this.parents.get(uid) ?? '');
  }

  private remove(uid: string): void {
    this.gone.add(uid);
    const [oldest] = this.gone;
    if (this.gone.size <= MAX_GONE || oldest === undefined) return;
    this.gone.delete(oldest);
    this.attempts.delete(oldest);
    this.parents.delete(oldest);
  }
}
