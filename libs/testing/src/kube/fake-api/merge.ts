export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const copy = <T>(value: T): T => structuredClone(value);

/** RFC 7396. */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return copy(patch);
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key] ?? null, value);
  }
  return result;
}

/**
 * Server-side apply, simplified: objects are merged field by field, lists are replaced whole. What this manager had
 * applied before and does not name any more goes away.
 */
export function applied(target: Json, now: Json, before: Json | undefined): Json {
  if (!isObject(now)) return copy(now);
  const result: JsonObject = isObject(target) ? { ...target } : {};
  if (isObject(before)) for (const key of Object.keys(before)) if (!(key in now)) removeLeaf(result, key, before[key]);
  for (const [key, value] of Object.entries(now))
    result[key] = applied(result[key] ?? null, value, isObject(before) ? before[key] : undefined);
  return result;
}

/** Removes what was applied, and leaves what others have put beside it. */
function removeLeaf(target: JsonObject, key: string, owned: Json | undefined): void {
  const value = target[key];
  if (!isObject(value) || !isObject(owned)) {
    delete target[key];
    return;
  }
  const rest = { ...value };
  for (const inner of Object.keys(owned)) removeLeaf(rest, inner, owned[inner]);
  if (Object.keys(rest).length === 0) delete target[key];
  else target[key] = rest;
}

/** Paths such as `.spec.suspend` that both name with different values. */
export function clashes(mine: Json, theirs: Json, path = ''): string[] {
  if (isObject(mine) && isObject(theirs))
    return Object.keys(mine).flatMap((key) =>
      key in theirs ? clashes(mine[key] ?? null, theirs[key] ?? null, `${path}.${key}`) : [],
    );
  return same(mine, theirs) ? [] : [path];
}

/** Equal as values, whatever the order of their fields. */
export const same = (a: unknown, b: unknown): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
