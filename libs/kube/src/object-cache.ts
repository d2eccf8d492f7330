import type { KubeObject } from './objects.js';
import { keyOf } from './resources.js';

/** Told of every change: `now` is undefined for what is gone, `before` for what is new. */
export type ChangeListener<T> = (key: string, now: T | undefined, before: T | undefined) => void;

/** Pure: the last known state of each object, and what changes it. */
export class ObjectCache<T extends KubeObject> {
  private readonly objects = new Map<string, T>();

  constructor(private readonly tell: ChangeListener<T>) {}

  get(key: string): T | undefined {
    return this.objects.get(key);
  }

  list(): readonly T[] {
    return [...this.objects.values()];
  }

  /**
   * Takes a newer state. One that is known already changes nothing. When another object has taken the name, the
   * old one is told as gone first.
   */
  put(object: T): void {
    const key = keyOf(object);
    let before = this.objects.get(key);
    if (before && before.metadata?.uid !== object.metadata?.uid) {
      this.remove(key);
      before = undefined;
    }
    if (before && before.metadata?.resourceVersion === object.metadata?.resourceVersion) return;
    this.objects.set(key, object);
    this.tell(key, object, before);
  }

  remove(key: string): void {
    const before = this.objects.get(key);
    if (!before) return;
    this.objects.delete(key);
    this.tell(key, undefined, before);
  }

  /** Takes a complete list: what is missing from it was deleted while nobody looked. */
  replaceAll(objects: readonly T[]): void {
    const listed = new Set(objects.map(keyOf));
    for (const key of [...this.objects.keys()]) if (!listed.has(key)) this.remove(key);
    for (const object of objects) this.put(object);
  }
}
