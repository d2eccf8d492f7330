import { RowBuilder, isGiven } from '../row-builder.js';
import type { JsonObject } from '../row-builder.js';
import type { Answers, RowFormatReader } from '../row-format.js';
import type { TrainingMessage } from '../training-row.js';
import { readMessages } from '../turns.js';
import { readPrompt } from './prompt-completion.js';

/** Of a row that is refused. */
const NO_ANSWERS: Answers = { chosen: '', rejected: '' };

const isConversation = (value: unknown): value is unknown[] => Array.isArray(value) && value.length > 1;

/** Whether both answers stand with everything before them: then no other field is needed. */
export const holdsConversations = ({ chosen, rejected }: JsonObject): boolean =>
  isConversation(chosen) && isConversation(rejected);

const same = (a: readonly TrainingMessage[], b: readonly TrainingMessage[]): boolean =>
  a.length === b.length && a.every(({ role, content }, i) => role === b[i]?.role && content === b[i].content);

/** Whether a prompt beside two whole conversations is what they begin with, or at least what was asked last. */
function agrees(prompt: readonly TrainingMessage[], beginning: readonly TrainingMessage[]): boolean {
  return same(prompt, beginning.slice(-prompt.length));
}

function readConversation(row: JsonObject, field: 'chosen' | 'rejected', build: RowBuilder): TrainingMessage[] {
  const conversation = new RowBuilder(build);
  const example = `"${field}": [{"role": "user", "content": "..."}, ...]`;
  readMessages(build.list(row[field], field, 'message', example), field, conversation);
  const last = conversation.messages.at(-1);
  if (last && last.role !== 'assistant')
    build.refuse('no-assistant-turn', field, `"${field}" does not end with an answer.`, 'End it with the assistant.');
  return conversation.messages;
}

function readPromptBeside(row: JsonObject, build: RowBuilder): TrainingMessage[] {
  const prompt = new RowBuilder(build);
  if (isGiven(row['prompt'])) readPrompt(row, prompt);
  return prompt.messages;
}

/** Both answers with everything before them: what the two conversations have in common is the prompt. */
function readConversations(row: JsonObject, build: RowBuilder): Answers {
  const chosen = readConversation(row, 'chosen', build);
  const rejected = readConversation(row, 'rejected', build);
  const prompt = readPromptBeside(row, build);
  const beginning = chosen.slice(0, -1);
  if (build.issues.length > 0) return NO_ANSWERS;
  if (!same(beginning, rejected.slice(0, -1))) {
    const hint = 'Keep the same messages before the two answers; only the last message may differ.';
    const said = 'The two conversations differ before their last message.';
    build.refuse('different-prompts', 'rejected', said, hint);
  } else if (prompt.length > 0 && !agrees(prompt, beginning)) {
    const said = '"prompt" is not what the two conversations begin with.';
    build.refuse('different-prompts', 'prompt', said, 'Take "prompt" out, or correct it.');
  }
  build.messages.push(...beginning);
  return { chosen: chosen.at(-1)?.content ?? '', rejected: rejected.at(-1)?.content ?? '' };
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
