import type { ROW_FORMATS } from '@luthier/contracts';
import { rowError, rowWarning } from './row-issue.js';
import type { TrainingRowIssue } from './row-issue.js';

export type RowFormat = (typeof ROW_FORMATS)[number];
export type MessageRole = 'system' | 'user' | 'assistant' | 'tool';

export interface TrainingMessage {
  readonly role: MessageRole;
  readonly content: string;
  /** Assistant only: 0 keeps the turn out of the loss. */
  readonly weight?: 0 | 1;
}

export interface TrainingRow {
  readonly format: RowFormat;
  readonly messages: readonly TrainingMessage[];
  /** Facts an answer must contain, for evaluation. */
  readonly facts?: readonly string[];
  /** Name of the evaluation suite the row belongs to. */
  readonly suite?: string;
}

export type ParsedRow =
  | { readonly ok: true; readonly row: TrainingRow; readonly warnings: readonly TrainingRowIssue[] }
  | { readonly ok: false; readonly format: RowFormat | null; readonly issues: readonly TrainingRowIssue[] };

type JsonObject = Record<string, unknown>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Gathers the issues and messages of one row. */
class RowBuilder {
  readonly issues: TrainingRowIssue[] = [];
  readonly messages: TrainingMessage[] = [];

  text(
    source: JsonObject,
    key: string,
    path: string,
    options: { optional?: boolean; mayBeEmpty?: boolean } = {},
  ): string | undefined {
    const value = source[key];
    if (value === undefined || value === null) {
      if (!options.optional)
        this.issues.push(rowError('missing-field', path, `"${path}" is missing.`, `Add "${path}" with the text.`));
      return undefined;
    }
    if (typeof value !== 'string') {
      this.issues.push(
        rowError('wrong-type', path, `"${path}" must be text, it is ${describe(value)}.`, 'Put the value in quotes.'),
      );
      return undefined;
    }
    if (value.trim() === '' && !options.mayBeEmpty && !options.optional) {
      this.issues.push(rowError('empty-field', path, `"${path}" is empty.`, 'Fill it in or remove the row.'));
      return undefined;
    }
    return value;
  }

  add(role: MessageRole, content: string | undefined, weight?: 0 | 1): void {
    if (content !== undefined && content !== '')
      this.messages.push({ role, content, ...(weight !== undefined && { weight }) });
  }
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function parseAlpaca(row: JsonObject, build: RowBuilder): void {
  build.add('system', build.text(row, 'system', 'system', { optional: true }));
  const { history } = row;
  if (history !== undefined && history !== null) {
    const isPair = (turn: unknown): turn is [string, string] =>
      Array.isArray(turn) && turn.length === 2 && turn.every((text) => typeof text === 'string');
    if (!Array.isArray(history) || !history.every(isPair)) {
      build.issues.push(
        rowError(
          'wrong-type',
          'history',
          '"history" must be a list of [question, answer] pairs.',
          'Write it as [["question", "answer"], ...].',
        ),
      );
    } else {
      for (const [question, answer] of history) {
        build.add('user', question);
        build.add('assistant', answer);
      }
    }
  }
  const instruction = build.text(row, 'instruction', 'instruction');
  const input = build.text(row, 'input', 'input', { optional: true });
  const output = build.text(row, 'output', 'output');
  build.add('user', instruction !== undefined && input ? `${instruction}\n${input}` : instruction);
  build.add('assistant', output);
}

const CHAT_ROLES: ReadonlyMap<unknown, MessageRole> = new Map<unknown, MessageRole>([
  ['system', 'system'],
  ['developer', 'system'],
  ['user', 'user'],
  ['assistant', 'assistant'],
  ['tool', 'tool'],
  ['function', 'tool'],
]);

/** OpenAI also allows content as a list of parts; text parts are joined, anything else is refused. */
function chatContent(message: JsonObject, path: string, build: RowBuilder): string | undefined {
  const { content } = message;
  if (!Array.isArray(content)) return build.text(message, 'content', `${path}.content`);
  const texts = content.map((part: unknown) =>
    isObject(part) && part['type'] === 'text' && typeof part['text'] === 'string' ? part['text'] : undefined,
  );
  if (texts.includes(undefined) || texts.length === 0) {
    build.issues.push(
      rowError(
        'wrong-type',
        `${path}.content`,
        `"${path}.content" holds parts that are not text.`,
        'Only text can be trained on; remove images and other parts.',
      ),
    );
    return undefined;
  }
  return texts.join('');
}

function parseChat(row: JsonObject, build: RowBuilder): void {
  const { messages } = row;
  if (!Array.isArray(messages) || messages.length === 0) {
    const code = Array.isArray(messages) ? 'empty-field' : 'wrong-type';
    build.issues.push(
      rowError(
        code,
        'messages',
        '"messages" must be a list with at least one message.',
        'Write {"messages": [{"role": "user", "content": "..."}, ...]}.',
      ),
    );
    return;
  }
  messages.forEach((message: unknown, index) => {
    const path = `messages[${index}]`;
    if (!isObject(message)) {
      build.issues.push(
        rowError(
          'wrong-type',
          path,
          `"${path}" must be an object, it is ${describe(message)}.`,
          'Write {"role": ..., "content": ...}.',
        ),
      );
      return;
    }
    const role = CHAT_ROLES.get(message['role']);
    if (!role) {
      build.issues.push(
        rowError(
          'bad-role',
          `${path}.role`,
          `"${path}.role" is not a known role.`,
          'Use system, user, assistant or tool.',
        ),
      );
      return;
    }
    if (message['tool_calls'] || message['function_call']) {
      build.issues.push(
        rowError(
          'wrong-type',
          `${path}.tool_calls`,
          'Tool calls cannot be trained on yet.',
          'Write the call as the text of the answer, or remove the row.',
        ),
      );
      return;
    }
    const { weight } = message;
    if (weight !== undefined && weight !== null && weight !== 0 && weight !== 1) {
      build.issues.push(
        rowError(
          'wrong-type',
          `${path}.weight`,
          `"${path}.weight" must be 0 or 1.`,
          'Use 0 to keep an answer out of training.',
        ),
      );
    }
    build.add(
      role,
      chatContent(message, path, build),
      role === 'assistant' && (weight === 0 || weight === 1) ? weight : undefined,
    );
  });
}

function parsePromptCompletion(row: JsonObject, build: RowBuilder): void {
  build.add('user', build.text(row, 'prompt', 'prompt'));
  build.add('assistant', build.text(row, 'completion', 'completion'));
}

const SHAREGPT_ROLES: ReadonlyMap<unknown, MessageRole> = new Map<unknown, MessageRole>([
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['assistant', 'assistant'],
  ['system', 'system'],
  ['observation', 'tool'],
]);

function parseShareGpt(row: JsonObject, build: RowBuilder): void {
  build.add('system', build.text(row, 'system', 'system', { optional: true }));
  const { conversations } = row;
  if (!Array.isArray(conversations) || conversations.length === 0) {
    const code = Array.isArray(conversations) ? 'empty-field' : 'wrong-type';
    build.issues.push(
      rowError(
        code,
        'conversations',
        '"conversations" must be a list with at least one turn.',
        'Write {"conversations": [{"from": "human", "value": "..."}, ...]}.',
      ),
    );
    return;
  }
  conversations.forEach((turn: unknown, index) => {
    const path = `conversations[${index}]`;
    if (!isObject(turn)) {
      build.issues.push(
        rowError(
          'wrong-type',
          path,
          `"${path}" must be an object, it is ${describe(turn)}.`,
          'Write {"from": ..., "value": ...}.',
        ),
      );
      return;
    }
    const role = SHAREGPT_ROLES.get(turn['from']);
    if (role) build.add(role, build.text(turn, 'value', `${path}.value`));
    else
      build.issues.push(
        rowError(
          'bad-role',
          `${path}.from`,
          `"${path}.from" is not a known role.`,
          'Use human, gpt, system or observation.',
        ),
      );
  });
}

const FORMATS: readonly {
  format: RowFormat;
  keys: readonly string[];
  parse: (row: JsonObject, build: RowBuilder) => void;
}[] = [
  { format: 'chat', keys: ['messages'], parse: parseChat },
  { format: 'sharegpt', keys: ['conversations'], parse: parseShareGpt },
  { format: 'alpaca', keys: ['instruction', 'output'], parse: parseAlpaca },
  { format: 'prompt-completion', keys: ['prompt', 'completion'], parse: parsePromptCompletion },
];

/** Which format a row is in, by its keys; several when the row mixes them. */
export function recogniseFormats(row: unknown): RowFormat[] {
  if (!isObject(row)) return [];
  return FORMATS.filter(({ keys }) => keys.some((key) => row[key] !== undefined)).map(({ format }) => format);
}

function parseExtras(row: JsonObject, build: RowBuilder): Pick<TrainingRow, 'facts' | 'suite'> {
  const { facts, suite } = row;
  const goodFacts = Array.isArray(facts) && facts.every((fact) => typeof fact === 'string' && fact.trim() !== '');
  if (facts !== undefined && facts !== null && !goodFacts) {
    build.issues.push(
      rowError(
        'wrong-type',
        'facts',
        '"facts" must be a list of texts.',
        'Write "facts": ["fact", "other fact|other wording"].',
      ),
    );
  }
  if (suite !== undefined && suite !== null && typeof suite !== 'string') {
    build.issues.push(rowError('wrong-type', 'suite', '"suite" must be text.', 'Put the name in quotes.'));
  }
  return { ...(goodFacts && { facts: facts as string[] }), ...(typeof suite === 'string' && { suite }) };
}

function checkTurns({ messages, issues }: RowBuilder): void {
  if (issues.length > 0) return;
  if (!messages.some(({ role, weight }) => role === 'assistant' && weight !== 0)) {
    issues.push(
      rowError(
        'no-assistant-turn',
        null,
        'The row has no answer to learn from.',
        'Add an assistant message (with weight 1 or none).',
      ),
    );
  }
}

const PLACEHOLDER = /\{\{\s*[\p{L}_][\p{L}\p{N}_.-]{0,60}\s*\}\}/u;

function findPlaceholders(messages: readonly TrainingMessage[]): TrainingRowIssue[] {
  const match = messages.map(({ content }) => PLACEHOLDER.exec(content)?.[0]).find((found) => found !== undefined);
  if (match === undefined) return [];
  return [
    rowWarning(
      'placeholder-left',
      null,
      `The text still holds the placeholder ${match}.`,
      'Fill placeholders in, or the model learns to write them.',
    ),
  ];
}

/** Checks one parsed JSON row and brings it into the common form: a list of messages. */
export function parseTrainingRow(json: unknown): ParsedRow {
  if (!isObject(json)) {
    const issue = rowError(
      'not-object',
      null,
      `The row must be a JSON object, it is ${describe(json)}.`,
      'Write one object {...} on each line.',
    );
    return { ok: false, format: null, issues: [issue] };
  }
  const formats = recogniseFormats(json);
  const [format] = formats;
  if (format === undefined) {
    const hint =
      'Use {"messages": [...]}, {"instruction", "output"}, {"prompt", "completion"} or {"conversations": [...]}.';
    return {
      ok: false,
      format: null,
      issues: [rowError('unknown-format', null, 'The row is in no known format.', hint)],
    };
  }
  if (formats.length > 1) {
    const issue = rowError(
      'mixed-format',
      null,
      `The row mixes the formats ${formats.join(' and ')}.`,
      'Keep the fields of one format.',
    );
    return { ok: false, format: null, issues: [issue] };
  }
  const build = new RowBuilder();
  FORMATS.find((entry) => entry.format === format)?.parse(json, build);
  const extras = parseExtras(json, build);
  checkTurns(build);
  if (build.issues.length > 0) return { ok: false, format, issues: build.issues };
  return { ok: true, row: { format, messages: build.messages, ...extras }, warnings: findPlaceholders(build.messages) };
}
