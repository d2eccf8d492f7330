export type TextErrorCode =
  | 'text.template-missing'
  | 'text.template-invalid'
  | 'text.template-failed'
  | 'text.template-timeout'
  | 'text.template-too-large'
  | 'text.tokenizer-invalid'
  | 'text.tokenizer-unsupported'
  | 'text.spans-inconsistent'
  | 'text.invalid-input';

/** Thrown for a tokenizer, template or conversation that cannot be used. System faults stay the Node errors they are. */
export class TextError extends Error {
  override readonly name = 'TextError';

  constructor(
    readonly code: TextErrorCode,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
