/** Fields that transformers 5 takes as floating-point numbers only: it refuses 30, and wants 30.0. */
const FLOATS = new Set(['attn_logit_softcapping', 'final_logit_softcapping', 'rms_norm_eps', 'rope_theta']);

/** Of ECMAScript's "JSON.parse source text access"; TypeScript's library does not have it yet. */
const json = JSON as unknown as { rawJSON(text: string): unknown };

/** The text of a `config.json` whose content is `config`. */
export const configText = (config: unknown): string =>
  JSON.stringify(
    config,
    (name, value: unknown) =>
      FLOATS.has(name) && Number.isInteger(value) ? json.rawJSON(`${String(value)}.0`) : value,
    2,
  );
