import type { Reflector, V1Event } from '@luthier/kube';

/** Of one object; the newest say why it waits. */
const MAX_EVENTS = 50;

/** What the watch shows of events, by the UID of the object they are about. They explain; nothing is decided by them alone. */
export class ObjectEvents {
  private readonly byObject = new Map<string, Map<string, V1Event>>();

  constructor(watch: Pick<Reflector<V1Event>, 'onChange'>) {
    watch.onChange((key, now, before) => {
      const uid = (now ?? before)?.involvedObject.uid ?? '';
      const known = this.byObject.get(uid) ?? new Map<string, V1Event>();
      known.delete(key);
      if (now) known.set(key, now);
      if (known.size > 0) this.byObject.set(uid, known);
      else this.byObject.delete(uid);
    });
  }

  /** Those that changed last, newest last. */
  of(objectUid: string): V1Event[] {
    return [...(this.byObject.get(objectUid)?.values() ?? [])].slice(-MAX_EVENTS);
  }
}
