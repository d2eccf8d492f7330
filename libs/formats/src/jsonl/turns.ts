import { describe, isGiven, isObject } from './row-builder.js';
import type { JsonObject, RowBuilder } from './row-builder.js';
import type { MessageRole } from './training-row.js';

const CHAT_ROLES: ReadonlyMap<unknown, MessageRole> = new Map<unknown, MessageRole>([
  ['system', 'system'],
  ['developer', 'system'],
  ['user', 'user'],
  ['assistant', 'assistant'],
  ['tool', 'tool'],
  ['function', 'tool'],
]);

const SHAREGPT_ROLES: ReadonlyMap<unknown, MessageRole> = new Map<unknown, MessageRole>([
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['assistant', 'assistant'],
  ['system', 'system'],
  ['observation', 'tool'],
]);

/** OpenAI also allows content as a list of parts; text parts are joined, anything else is refused. */
function chatContent(message: JsonObject, path: string, build: RowBuilder): string | undefined {
  const { content } = message;
  if (!Array.isArray(content)) return build.text(message, 'content', `${path}.content`);
  const texts = content.map((part: unknown) =>
    isObject(part) && part['type'] === 'text' && typeof part['text'] === 'string' ? part['text'] : undefined,
  );
  if (texts.includes(undefined) || texts.length === 0) {
    build.refuse(
      'wrong-type',
      `${path}.content`,
      `"${path}.content" holds parts that are not text.`,
      'Only text can be trained on; remove images and other parts.',
    );
    return undefined;
  }
  return texts.join('');
}

function readChatTurn(message: JsonObject, path: string, build: RowBuilder): void {
  const role = CHAT_ROLES.get(message['role']);
  if (!role) {
    const said = `"${path}.role" is not a known role.`;
    build.refuse('bad-role', `${path}.role`, said, 'Use system, user, assistant or tool.');
    return;
  }
  if (message['tool_calls'] || message['function_call']) {
    build.refuse(
      'wrong-type',
      `${path}.tool_calls`,
      'Tool calls cannot be trained on yet.',
      'Write the call as the text of the answer, or remove the row.',
    );
    return;
  }
  const { weight } = message;
  if (isGiven(weight) && weight !== 0 && weight !== 1) {
    const said = `"${path}.weight" must be 0 or 1.`;
    build.refuse('wrong-type', `${path}.weight`, said, 'Use 0 to keep an answer out of training.');
  }
  const known = role === 'assistant' && (weight === 0 || weight === 1) ? weight : undefined;
  build.add(role, chatContent(message, path, build), known);
}

function readShareGptTurn(turn: JsonObject, path: string, build: RowBuilder): void {
  const role = SHAREGPT_ROLES.get(turn['from']);
  if (role) {
    build.add(role, build.text(turn, 'value', `${path}.value`));
    return;
  }
  const said = `"${path}.from" is not a known role.`;
  build.refuse('bad-role', `${path}.from`, said, 'Use human, gpt, system or observation.');
}

type ReadTurn = (turn: JsonObject, path: string, build: RowBuilder) => void;

function readTurns(turns: readonly unknown[], path: string, build: RowBuilder, read: ReadTurn, example: string): void {
  turns.forEach((turn, index) => {
    const at = `${path}[${index}]`;
    if (isObject(turn)) read(turn, at, build);
    else build.refuse('wrong-type', at, `"${at}" must be an object, it is ${describe(turn)}.`, `Write ${example}.`);
  });
}

/** Messages with `role` and `content`, as OpenAI writes them. */
export function readChatMessages(value: unknown, path: string, build: RowBuilder): void {
  const example = `{"${path}": [{"role": "user", "content": "..."}, ...]}`;
  const messages = build.list(value, path, 'message', example);
  readTurns(messages, path, build, readChatTurn, '{"role": ..., "content": ...}');
}

/** Turns with `from` and `value`, as ShareGPT writes them. */
export function readShareGptTurns(value: unknown, path: string, build: RowBuilder): void {
  const example = `{"${path}": [{"from": "human", "value": "..."}, ...]}`;
  const turns = build.list(value, path, 'turn', example);
  readTurns(turns, path, build, readShareGptTurn, '{"from": ..., "value": ...}');
}

/** Messages in whichever of the two spellings. */
export function readMessages(messages: readonly unknown[], path: string, build: RowBuilder): void {
  const read: ReadTurn = (turn, at, within) => ('from' in turn ? readShareGptTurn : readChatTurn)(turn, at, within);
  readTurns(messages, path, build, read, '{"role": ..., "content": ...}');
}
