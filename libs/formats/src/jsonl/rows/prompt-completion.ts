import { readAnswer } from '../answer.js';
import type { JsonObject, RowBuilder } from '../row-builder.js';
import type { RowFormatReader } from '../row-format.js';
import { readMessages } from '../turns.js';

/** TRL's `prompt`: a text that the user says, or the messages so far. */
export function readPrompt(row: JsonObject, build: RowBuilder): void {
  const { prompt } = row;
  if (!Array.isArray(prompt)) {
    build.add('user', build.text(row, 'prompt', 'prompt'));
    return;
  }
  const example = '"prompt": [{"role": "user", "content": "..."}]';
  readMessages(build.list(prompt, 'prompt', 'message', example), 'prompt', build);
}

/** `prompt` and `completion`. */
export const promptCompletion: RowFormatReader = {
  format: 'prompt-completion',
  fields: ['prompt', 'completion'],
  answerField: 'completion',
  read(row, _kind, build) {
    readPrompt(row, build);
    build.add('assistant', readAnswer(row, 'completion', build));
    return undefined;
  },
};
