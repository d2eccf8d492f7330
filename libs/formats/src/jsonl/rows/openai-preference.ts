import { isGiven, isObject } from '../row-builder.js';
import type { RowFormatReader } from '../row-format.js';
import { readChatMessages } from '../turns.js';

/** `input.messages`, `preferred_output`, `non_preferred_output`; once the last two ended in `_completion`. */
export const openAiPreference: RowFormatReader = {
  format: 'openai-preference',
  fields: ['preferred_output', 'non_preferred_output', 'preferred_completion', 'non_preferred_completion'],
  pairFields: {
    chosen: ['preferred_output', 'preferred_completion'],
    rejected: ['non_preferred_output', 'non_preferred_completion'],
  },
  read({ input }, _kind, build) {
    if (isObject(input)) readChatMessages(input['messages'], 'input.messages', build);
    else {
      build.refuse(
        isGiven(input) ? 'wrong-type' : 'missing-field',
        'input',
        '"input" must be an object with the messages before the answers.',
        'Write "input": {"messages": [{"role": "user", "content": "..."}]}.',
      );
    }
    return undefined;
  },
};
