import { randomInt, randomUUID } from 'node:crypto';
import { applied, clashes, copy, isObject, mergePatch, same } from './merge.js';
import type { Json, JsonObject } from './merge.js';
import { Refusal, alreadyExists, badRequest, conflict, failure, invalid, notFound } from './status.js';
import { timestamp } from './store.js';
import type { FakeKind, FakeStore, StoredObject } from './store.js';

export interface Target {
  kind: FakeKind;
  namespace: string | undefined;
  name: string;
  subresource?: 'status' | undefined;
  dryRun: boolean;
}

export interface DeleteBody {
  preconditions?: { uid?: string; resourceVersion?: string };
  propagationPolicy?: string;
  gracePeriodSeconds?: number;
}

const NAMESPACES: FakeKind = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };
const FOREGROUND = 'foregroundDeletion';

/** What the API server does with a write before it is stored, as far as the platform can notice. */
export class FakeWrites {
  /** By uid: what each manager has applied last. */
  private readonly managers = new Map<string, Map<string, Json>>();

  /** Owners that wait until what they own is gone. */
  private readonly owners = new Map<string, { kind: FakeKind; owner: StoredObject }>();

  constructor(
    private readonly store: FakeStore,
    private readonly kinds: () => Iterable<FakeKind>,
  ) {}

  create(kind: FakeKind, namespace: string | undefined, body: Json, dryRun: boolean): StoredObject {
    const object = checked(kind, body);
    const metadata = object.metadata;
    if (kind.namespaced) metadata['namespace'] = this.liveNamespace(kind, namespace ?? '');
    if (typeof metadata['name'] !== 'string') {
      if (typeof metadata['generateName'] !== 'string')
        throw invalid(kind, '', 'metadata.name', 'Required value: name or generateName is required');
      metadata['name'] =
        metadata['generateName'] +
        randomInt(36 ** 5)
          .toString(36)
          .padStart(5, '0');
    }
    const name = String(metadata['name']);
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name))
      throw invalid(kind, name, 'metadata.name', 'Invalid value: a lowercase RFC 1123 subdomain must be used');
    if (this.store.get(kind, namespace, name)) throw alreadyExists(kind, name);
    if (typeof metadata['resourceVersion'] === 'string' && metadata['resourceVersion'] !== '')
      throw badRequest('resourceVersion should not be set on objects to be created');
    metadata['generation'] = 1;
    if (kind.kind === 'Pod') object['status'] = { phase: 'Pending' };
    else if (kind.hasStatus) object['status'] = {};
    return this.save(kind, object, dryRun);
  }

  replace(target: Target, body: Json): StoredObject {
    const object = checked(target.kind, body);
    if (object.metadata['name'] !== target.name)
      throw badRequest('the name of the object does not match the name on the URL');
    return this.update(target, object);
  }

  patch(target: Target, contentType: string, body: Json, fieldManager: string, force: boolean): StoredObject {
    switch (contentType) {
      case 'application/merge-patch+json':
        return this.update(target, checked(target.kind, mergePatch(this.existing(target), body)));
      case 'application/apply-patch+yaml':
        return this.apply(target, body, fieldManager, force);
      case 'application/json-patch+json':
        throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
      default:
        throw new Refusal(
          415,
          failure(415, 'UnsupportedMediaType', `the body of the request was in an unknown format - ${contentType}`),
        );
    }
  }

  /** @returns the object while it is still there, or undefined when it is gone */
  delete(target: Target, options: DeleteBody): { object: StoredObject; gone: boolean } {
    const { kind, name } = target;
    const object = this.existing(target);
    const { uid } = options.preconditions ?? {};
    if (uid !== undefined && uid !== object.metadata.uid)
      throw conflict(
        kind,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${object.metadata.uid}`,
      );
    if (target.dryRun) return { object, gone: true };
    const policy = options.propagationPolicy ?? 'Background';
    const finalizers = [...(object.metadata.finalizers ?? []), ...(policy === 'Foreground' ? [FOREGROUND] : [])];
    const graceful = kind.kind === 'Pod' && options.gracePeriodSeconds !== 0 && hasNode(object);
    if (policy !== 'Orphan') setImmediate(() => this.collect(object, kind, policy));
    if (finalizers.length === 0 && !graceful) {
      this.remove(kind, object);
      return { object, gone: true };
    }
    const grace = graceful ? (options.gracePeriodSeconds ?? 30) : 0;
    return {
      object: this.store.put(kind, {
        ...object,
        metadata: {
          ...object.metadata,
          ...(finalizers.length > 0 && { finalizers: [...new Set(finalizers)] }),
          deletionTimestamp: object.metadata.deletionTimestamp ?? timestamp(),
          deletionGracePeriodSeconds: grace,
        },
      }),
      gone: false,
    };
  }

  private apply(target: Target, body: Json, manager: string, force: boolean): StoredObject {
    const { kind, namespace, name } = target;
    if (manager === '') throw badRequest('fieldManager: Required value: is required for apply patch');
    const wanted = checked(kind, body);
    delete wanted.metadata['resourceVersion'];
    const current = this.store.get(kind, namespace, name);
    if (!current) {
      const made = this.create(kind, namespace, { ...wanted, metadata: { ...wanted.metadata, name } }, target.dryRun);
      if (!target.dryRun) this.managers.set(made.metadata.uid, new Map([[manager, copy<Json>(wanted)]]));
      return made;
    }
    const managers = this.managers.get(current.metadata.uid) ?? new Map<string, Json>();
    for (const [other, theirs] of managers) {
      if (other === manager) continue;
      const fields = clashes(wanted, theirs).filter((field) => field !== '');
      if (fields.length > 0 && !force) throw managerConflict(kind, name, other, fields);
      if (fields.length > 0) managers.set(other, withoutFields(theirs, fields));
    }
    const merged = checked(kind, applied(current, wanted, managers.get(manager)));
    const result = this.update(target, merged);
    if (!target.dryRun) this.managers.set(result.metadata.uid, managers.set(manager, copy<Json>(wanted)));
    return result;
  }

  private update(target: Target, object: JsonObject & { metadata: JsonObject }): StoredObject {
    const { kind, name, subresource } = target;
    const current = this.existing(target);
    const { resourceVersion, uid } = object.metadata;
    if (
      typeof resourceVersion === 'string' &&
      resourceVersion !== '' &&
      resourceVersion !== current.metadata.resourceVersion
    )
      throw conflict(
        kind,
        name,
        'the object has been modified; please apply your changes to the latest version and try again',
      );
    if (typeof uid === 'string' && uid !== current.metadata.uid)
      throw conflict(
        kind,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`,
      );
    const next = nextState(kind, current, object, subresource);
    if (same(next, current)) return current;
    if (!same(next['spec'], current['spec'])) next.metadata['generation'] = (current.metadata.generation ?? 1) + 1;
    if (target.dryRun) return next as StoredObject;
    const { finalizers = [], deletionTimestamp } = next.metadata as StoredObject['metadata'];
    const saved = this.store.put(kind, next);
    if (deletionTimestamp !== undefined && finalizers.length === 0 && !(kind.kind === 'Pod' && hasNode(saved)))
      this.remove(kind, saved);
    return saved;
  }

  /** What the garbage collector does: deletes what names `owner` as its owner, then the owner if it waits for that. */
  private collect(owner: StoredObject, kind: FakeKind, policy: string): void {
    for (const [of, object] of this.dependents(owner)) {
      const { namespace, name } = object.metadata;
      const deleting = object.metadata.deletionTimestamp !== undefined;
      if (!deleting) this.delete({ kind: of, namespace, name, dryRun: false }, { propagationPolicy: policy });
    }
    if (policy === 'Foreground') this.owners.set(owner.metadata.uid, { kind, owner });
    this.settle();
  }

  /** Owners whose last dependent has gone, go. */
  private settle(): void {
    for (const [uid, { kind, owner }] of [...this.owners]) {
      if (this.dependents(owner).length > 0) continue;
      this.owners.delete(uid);
      const { namespace, name } = owner.metadata;
      const current = this.store.get(kind, namespace, name);
      if (current?.metadata.uid !== uid) continue;
      const finalizers = (current.metadata.finalizers ?? []).filter((one) => one !== FOREGROUND);
      const object = { ...current, metadata: { ...current.metadata, finalizers } };
      this.update({ kind, namespace, name, dryRun: false }, object);
    }
  }

  private dependents(owner: StoredObject): [FakeKind, StoredObject][] {
    return [...this.kinds()].flatMap((kind) =>
      this.store
        .ofKind(kind, (one) => (one.metadata.ownerReferences ?? []).some(({ uid }) => uid === owner.metadata.uid))
        .map((object): [FakeKind, StoredObject] => [kind, object]),
    );
  }

  private remove(kind: FakeKind, object: StoredObject): void {
    this.store.remove(kind, object);
    this.managers.delete(object.metadata.uid);
    setImmediate(() => this.settle());
  }

  private existing({ kind, namespace, name }: Target): StoredObject {
    const found = this.store.get(kind, namespace, name);
    if (!found) throw notFound(kind, name);
    return found;
  }

  private liveNamespace(kind: FakeKind, name: string): string {
    const namespace = this.store.get(NAMESPACES, undefined, name);
    if (!namespace) throw notFound(NAMESPACES, name);
    if (namespace.metadata.deletionTimestamp !== undefined)
      throw new Refusal(
        403,
        failure(
          403,
          'Forbidden',
          `${kind.plural} is forbidden: unable to create new content in namespace ${name} because it is being terminated`,
          {
            kind: kind.plural,
            causes: [
              {
                reason: 'NamespaceTerminating',
                message: `namespace ${name} is being terminated`,
                field: 'metadata.namespace',
              },
            ],
          },
        ),
      );
    return name;
  }

  private save(kind: FakeKind, object: JsonObject & { metadata: JsonObject }, dryRun: boolean): StoredObject {
    if (!dryRun) return this.store.put(kind, object);
    const metadata = { ...object.metadata, uid: randomUUID(), creationTimestamp: timestamp() };
    return { ...object, metadata, apiVersion: kind.apiVersion, kind: kind.kind } as StoredObject;
  }
}

/** A write to the object leaves its status alone, and one to its status all else. */
function nextState(
  kind: FakeKind,
  current: StoredObject,
  object: JsonObject & { metadata: JsonObject },
  subresource: string | undefined,
): JsonObject & { metadata: JsonObject } {
  if (subresource === 'status')
    return { ...current, ...(object['status'] !== undefined && { status: object['status'] }) };
  if (kind.kind === 'Job' && isObject(object['spec']) && isObject(current['spec'])) {
    if (!same(object['spec']['template'], current['spec']['template']))
      throw invalid(kind, current.metadata.name, 'spec.template', 'Invalid value: field is immutable');
  }
  const { uid, creationTimestamp, resourceVersion, generation } = current.metadata;
  const metadata: JsonObject = { ...object.metadata, uid, creationTimestamp, resourceVersion };
  if (generation !== undefined) metadata['generation'] = generation;
  // Who writes an object cannot undo its deletion.
  if (current.metadata.deletionTimestamp !== undefined)
    metadata['deletionTimestamp'] = current.metadata.deletionTimestamp;
  if (Array.isArray(metadata['finalizers']) && metadata['finalizers'].length === 0) delete metadata['finalizers'];
  const kept = kind.hasStatus && current['status'] !== undefined ? { status: current['status'] } : {};
  return { ...object, apiVersion: kind.apiVersion, kind: kind.kind, metadata, ...kept };
}

function checked(kind: FakeKind, body: Json): JsonObject & { metadata: JsonObject } {
  if (!isObject(body)) throw badRequest('the object provided is unrecognized (must be of type Object)');
  if (body['kind'] !== kind.kind || body['apiVersion'] !== kind.apiVersion)
    throw badRequest(
      `the API version in the data (${JSON.stringify(body['apiVersion'])}) does not match the expected API version (${kind.apiVersion})`,
    );
  const metadata = isObject(body['metadata']) ? { ...body['metadata'] } : {};
  return { ...copy(body), metadata };
}

function managerConflict(kind: FakeKind, name: string, other: string, fields: string[]): Refusal {
  const many = fields.length === 1 ? '1 conflict' : `${fields.length} conflicts`;
  return conflict(
    kind,
    name,
    `Apply failed with ${many}: conflict with "${other}": ${fields.join(', ')}`,
    fields.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with "${other}"`, field })),
  );
}

function withoutFields(value: Json, fields: readonly string[], path = ''): Json {
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !fields.includes(`${path}.${key}`))
      .map(([key, inner]) => [key, withoutFields(inner, fields, `${path}.${key}`)]),
  );
}

const hasNode = (pod: StoredObject): boolean =>
  isObject(pod['spec']) && typeof pod['spec']['nodeName'] === 'string' && pod['spec']['nodeName'] !== '';
