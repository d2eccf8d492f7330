import { RowBuilder, isGiven } from '../row-builder.js';
import type { JsonObject } from '../row-builder.js';
import type { Answers, RowFormatReader } from '../row-format.js';
import type { TrainingMessage } from '../training-row.js';
import { readMessages } from '../turns.js';
import { readPrompt } from './prompt-completion.js';

const isConversation = (value: unknown): value is unknown[] => Array.isArray(value) && value.length > 1;

const same = (a: readonly TrainingMessage[], b: readonly TrainingMessage[]): boolean =>
  a.length === b.length && a.every(({ role, content }, i) => role === b[i]?.role && content === b[i].content);

/** Whether a prompt beside two whole conversations is what they begin with, or at least what was asked last. */
function agrees(prompt: readonly TrainingMessage[], beginning: readonly TrainingMessage[]): boolean {
  return same(prompt, beginning.slice(-prompt.length));
}

/** Both answers with everything before them: the common beginning is the prompt. */
function readConversations(row: JsonObject, build: RowBuilder): Answers {
  const [chosen, rejected] = (['chosen', 'rejected'] as const).map((field) => {
    const conversation = new RowBuilder(build);
    readMessages(
      build.list(row[field], field, 'message', `"${field}": [{"role": "user", "content": "..."}, ...]`),
      field,
      conversation,
    );
    return conversation.messages;
  });
  const prompt = new RowBuilder(build);
  if (isGiven(row['prompt'])) readPrompt(row, prompt);
  const answers = { chosen: chosen?.at(-1)?.content ?? '', rejected: rejected?.at(-1)?.content ?? '' };
  if (build.issues.length > 0 || !chosen || !rejected) return answers;
  const beginning = chosen.slice(0, -1);
  if (!same(beginning, rejected.slice(0, -1))) {
    build.refuse(
      'different-prompts',
      'rejected',
      'The two conversations differ before their last message.',
      'Keep the same messages before the two answers; only the last message may differ.',
    );
  } else if (prompt.messages.length > 0 && !agrees(prompt.messages, beginning)) {
    build.refuse(
      'different-prompts',
      'prompt',
      '"prompt" is not what the two conversations begin with.',
      'Take "prompt" out, or correct it.',
    );
  }
  const silent = [chosen, rejected].findIndex((conversation) => conversation.at(-1)?.role !== 'assistant');
  if (silent >= 0) {
    const field = silent === 0 ? 'chosen' : 'rejected';
    build.refuse('no-assistant-turn', field, `"${field}" does not end with an answer.`, 'End it with the assistant.');
  }
  build.messages.push(...beginning);
  return answers;
}

/** TRL's pairs: `prompt`, `chosen`, `rejected`, or two whole conversations. */
export const chosenRejected: RowFormatReader = {
  format: 'chosen-rejected',
  fields: ['chosen', 'rejected'],
  read(row, _kind, build) {
    if (isConversation(row['chosen']) || isConversation(row['rejected'])) return readConversations(row, build);
    if (isGiven(row['prompt'])) readPrompt(row, build);
    else {
      build.refuse(
        'missing-field',
        'prompt',
        'The pair does not say what was asked.',
        'Add "prompt", or write "chosen" and "rejected" as whole lists of messages.',
      );
    }
    return undefined;
  },
};
