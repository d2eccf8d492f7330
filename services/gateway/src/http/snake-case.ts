import { z } from 'zod';

/**
 * Records are camelCase inside and snake_case on public HTTP. The change is made by walking the schema, not the value:
 * only keys that a schema declares are renamed, keys of maps (metadata, metric names) are data and stay as they are.
 */
type Schema = z.core.$ZodType;
type Json = Record<string, unknown>;

/** `loraAlpha` -> `lora_alpha`, `adamBeta1` -> `adam_beta1`. Names already in snake_case are unchanged. */
export const snakeName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** A dotted path of field names, e.g. of an error's `param`. */
export const snakePath = (path: string): string => path.split('.').map(snakeName).join('.');

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const wireNamesOf = new WeakMap<object, ReadonlyMap<string, string>>();

/** Declared key -> key on the wire. @throws Error when two keys would become one (a programming fault). */
function wireNames(schema: z.core.$ZodObject): ReadonlyMap<string, string> {
  const known = wireNamesOf.get(schema);
  if (known) return known;
  const names = new Map(Object.keys(schema._zod.def.shape).map((key) => [key, snakeName(key)]));
  if (new Set(names.values()).size !== names.size) {
    throw new Error(`two of the keys ${[...names.keys()].join(', ')} have the same name in snake_case`);
  }
  wireNamesOf.set(schema, names);
  return names;
}

type Direction = 'to-wire' | 'from-wire';

function walkObject(schema: z.core.$ZodObject, value: unknown, direction: Direction): unknown {
  if (!isRecord(value)) return value;
  const names = wireNames(schema);
  const { shape } = schema._zod.def;
  const result: Json = {};
  const seen = new Set<string>();
  for (const [key, wire] of names) {
    const from = direction === 'to-wire' ? key : wire;
    const member = shape[key];
    if (!member || !Object.hasOwn(value, from)) continue;
    seen.add(from);
    result[direction === 'to-wire' ? wire : key] = walk(member, value[from], direction);
  }
  // What the schema does not know passes as it is: the schema itself refuses or drops it. But a stranger may not pass
  // for a declared key (`loraAlpha` sent instead of `lora_alpha`), nor write over one.
  for (const [key, rest] of Object.entries(value)) {
    if (seen.has(key) || (direction === 'to-wire' && Object.hasOwn(result, key))) continue;
    setOwn(result, direction === 'from-wire' && names.has(key) ? `${key} (camelCase)` : key, rest);
  }
  return result;
}

/** Assigns even `__proto__` as an ordinary key. */
function setOwn(target: Json, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

function walkRecord(schema: z.core.$ZodRecord, value: unknown, direction: Direction): unknown {
  if (!isRecord(value)) return value;
  const result: Json = {};
  for (const [key, member] of Object.entries(value)) {
    setOwn(result, key, walk(schema._zod.def.valueType, member, direction));
  }
  return result;
}

/** The option that the value belongs to is the first that accepts it in its camelCase form. */
function walkUnion(schema: z.core.$ZodUnion, value: unknown, direction: Direction): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const option of schema._zod.def.options) {
    const walked = walk(option, value, direction);
    if (z.safeParse(option, direction === 'to-wire' ? value : walked).success) return walked;
  }
  const closest = closestOption(schema, value);
  return closest ? walk(closest, value, direction) : value;
}

/** For a value that no option accepts: the one its discriminator names, so that errors speak of the right fields. */
function closestOption(schema: z.core.$ZodUnion, value: object): Schema | undefined {
  if (!('discriminator' in schema._zod.def)) return undefined;
  const key = String(schema._zod.def.discriminator);
  const wanted: unknown = Reflect.get(value, key);
  return schema._zod.def.options.find((option) => {
    const member = option instanceof z.core.$ZodObject ? option._zod.def.shape[key] : undefined;
    return member !== undefined && z.safeParse(member, wanted).success;
  });
}

function walk(schema: Schema, value: unknown, direction: Direction): unknown {
  if (value === null || value === undefined) return value;
  if (schema instanceof z.core.$ZodObject) return walkObject(schema, value, direction);
  if (schema instanceof z.core.$ZodRecord) return walkRecord(schema, value, direction);
  if (schema instanceof z.core.$ZodUnion) return walkUnion(schema, value, direction);
  if (schema instanceof z.core.$ZodArray) {
    const { element } = schema._zod.def;
    return Array.isArray(value) ? value.map((item: unknown) => walk(element, item, direction)) : value;
  }
  if (schema instanceof z.core.$ZodTuple) {
    const { items } = schema._zod.def;
    return Array.isArray(value)
      ? value.map((item: unknown, index) => (items[index] ? walk(items[index], item, direction) : item))
      : value;
  }
  if (schema instanceof z.core.$ZodLazy) return walk(schema._zod.def.getter(), value, direction);
  if (schema instanceof z.core.$ZodPipe) return walk(schema._zod.def.in, value, direction);
  const inner = innerOf(schema);
  return inner ? walk(inner, value, direction) : value;
}

/** The schema inside optional, nullable, default and their like. */
export function innerOf(schema: Schema): Schema | undefined {
  const { def } = schema._zod;
  return 'innerType' in def && def.innerType instanceof z.core.$ZodType ? def.innerType : undefined;
}

/** A record as it goes out on public HTTP. */
export const toWire = (schema: Schema, value: unknown): unknown => walk(schema, value, 'to-wire');

/** A body as our schemas know it; it is not validated yet. */
export const fromWire = (schema: Schema, value: unknown): unknown => walk(schema, value, 'from-wire');

/** `override` for `z.toJSONSchema`: the same renaming for the schema of the wire form. */
export function renameInJsonSchema(context: { zodSchema: Schema; jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  const { zodSchema, jsonSchema } = context;
  if (!(zodSchema instanceof z.core.$ZodObject)) return;
  const names = wireNames(zodSchema);
  const renamed = (key: string): string => names.get(key) ?? key;
  if (jsonSchema.properties) {
    jsonSchema.properties = Object.fromEntries(
      Object.entries(jsonSchema.properties).map(([key, member]) => [renamed(key), member]),
    );
  }
  if (jsonSchema.required) jsonSchema.required = jsonSchema.required.map(renamed);
}
