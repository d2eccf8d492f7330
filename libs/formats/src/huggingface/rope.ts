import { z } from 'zod';
import type { ConfigFields } from './config-fields.js';
import { parseFields, unsupported } from './config-fields.js';

/**
 * How rotary angles are stretched for longer contexts. `linear` divides all frequencies by `factor`; `llama3` only those
 * whose wavelength is long against `originalMaxPositions` (Llama 3.1).
 */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalMaxPositions: number;
    };

export interface RopeSettings {
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
}

const positive = z.number().positive();
const parametersSchema = z.looseObject({
  rope_type: z.string().nullish(),
  type: z.string().nullish(),
  rope_theta: positive.nullish(),
  partial_rotary_factor: z.number().nullish(),
});
const linearSchema = z.object({ factor: positive });
const llama3Schema = z
  .object({
    factor: positive,
    low_freq_factor: positive,
    high_freq_factor: positive,
    original_max_position_embeddings: positive.nullish(),
  })
  .refine((scaling) => scaling.high_freq_factor > scaling.low_freq_factor, {
    path: ['high_freq_factor'],
    message: 'must be greater than low_freq_factor',
  });

const isSet = (value: unknown): boolean =>
  value !== null && value !== undefined && !(typeof value === 'object' && Object.keys(value).length === 0);

function scalingOf(type: string, field: string, value: unknown, maxPositions: number): RopeScaling | undefined {
  if (type === 'default') return undefined;
  if (type === 'linear') return { type, factor: parseFields(linearSchema, value, field).factor };
  if (type !== 'llama3')
    throw unsupported(
      field,
      `of type "${type}" is not supported; supported: default, linear, llama3. Use a model without this scaling.`,
    );
  const scaling = parseFields(llama3Schema, value, field);
  return {
    type,
    factor: scaling.factor,
    lowFrequencyFactor: scaling.low_freq_factor,
    highFrequencyFactor: scaling.high_freq_factor,
    originalMaxPositions: scaling.original_max_position_embeddings ?? maxPositions,
  };
}

/** One set of parameters, as transformers 4 writes `rope_scaling` and 5 writes `rope_parameters`. */
function parseParameters(field: string, value: unknown, maxPositions: number): Partial<RopeSettings> {
  if (!isSet(value)) return {};
  const parameters = parseFields(parametersSchema, value, field);
  for (const nested of ['full_attention', 'sliding_attention'])
    if (nested in parameters)
      throw unsupported(
        `${field}.${nested}`,
        'is not known in this family; give one set of parameters for all layers.',
      );
  const partial = parameters.partial_rotary_factor ?? 1;
  if (partial !== 1) throw unsupported(`${field}.partial_rotary_factor`, `${partial} is not supported; supported: 1.`);
  const ropeScaling = scalingOf(parameters.rope_type ?? parameters.type ?? 'default', field, value, maxPositions);
  const theta = parameters.rope_theta;
  return { ...(typeof theta === 'number' && { ropeTheta: theta }), ...(ropeScaling && { ropeScaling }) };
}

/** Rotary settings of all layers. As in transformers, `rope_scaling` goes before `rope_parameters` where both are set. */
export function parseRope(fields: ConfigFields, defaultTheta: number): RopeSettings {
  const field = isSet(fields.rope_scaling) ? 'rope_scaling' : 'rope_parameters';
  return {
    ropeTheta: fields.rope_theta ?? defaultTheta,
    ...parseParameters(field, fields[field], fields.max_position_embeddings),
  };
}

const layeredSchema = z.looseObject({
  full_attention: z.unknown().optional(),
  sliding_attention: z.unknown().optional(),
});

/** Rotary settings of full and of sliding layers, where they differ (Gemma 3). */
export function parseLayeredRope(
  fields: ConfigFields,
  defaults: { readonly theta: number; readonly localTheta: number },
): RopeSettings & { readonly localRopeTheta: number } {
  const layered = isSet(fields.rope_parameters)
    ? parseFields(layeredSchema, fields.rope_parameters, 'rope_parameters')
    : {};
  if ('rope_type' in layered || 'rope_theta' in layered)
    throw unsupported('rope_parameters', 'must hold full_attention and sliding_attention in this family.');
  const parse = (field: string, value: unknown): Partial<RopeSettings> =>
    parseParameters(field, value, fields.max_position_embeddings);
  const full = parse('rope_parameters.full_attention', layered.full_attention);
  const local = parse('rope_parameters.sliding_attention', layered.sliding_attention);
  if (local.ropeScaling)
    throw unsupported('rope_parameters.sliding_attention', 'is scaled, which is not supported; use the type default.');
  return {
    ropeTheta: fields.rope_theta ?? defaults.theta,
    ...full,
    ...parse('rope_scaling', fields.rope_scaling),
    localRopeTheta: local.ropeTheta ?? fields.rope_local_base_freq ?? defaults.localTheta,
  };
}

/** `rope_scaling` as every version of transformers reads it. */
export function formatRopeScaling(scaling: RopeScaling | undefined): Record<string, unknown> | null {
  if (!scaling) return null;
  if (scaling.type === 'linear') return { rope_type: 'linear', factor: scaling.factor };
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalMaxPositions,
  };
}
