import type { RowKind } from '@luthier/contracts';
import { fieldIn, readAnswer } from './answer.js';
import { RowBuilder, describe, isGiven, isObject } from './row-builder.js';
import type { JsonObject } from './row-builder.js';
import type { Answers, RowFormatReader } from './row-format.js';
import { rowError, rowWarning } from './row-issue.js';
import type { TrainingRowIssue } from './row-issue.js';
import { alpaca } from './rows/alpaca.js';
import { chat } from './rows/chat.js';
import { chosenRejected, holdsConversations } from './rows/chosen-rejected.js';
import { openAiPreference } from './rows/openai-preference.js';
import { plainText } from './rows/plain-text.js';
import { promptCompletion } from './rows/prompt-completion.js';
import { shareGpt } from './rows/sharegpt.js';
import { textsOf } from './training-row.js';
import type { ParsedRow, TrainingRow } from './training-row.js';

const FORMATS: readonly RowFormatReader[] = [chat, shareGpt, alpaca, promptCompletion, openAiPreference];
const PAIR_FIELDS = { chosen: ['chosen'], rejected: ['rejected'] } as const;

const isPair = (row: JsonObject): boolean => chosenRejected.fields.some((field) => isGiven(row[field]));

/** The formats whose fields a row has; several when it mixes them. */
function formatsOf(row: JsonObject): readonly RowFormatReader[] {
  // Published tables of pairs often repeat the chosen conversation as `messages`.
  if (holdsConversations(row)) return [chosenRejected];
  const found = FORMATS.filter(({ fields }) => fields.some((field) => row[field] !== undefined));
  // TRL's pairs share `prompt` with prompt and completion.
  const [only, ...others] = found;
  if (isPair(row) && others.length === 0 && (!only || (only === promptCompletion && !isGiven(row['completion']))))
    return [chosenRejected];
  // Published tables often have a column `text` beside the fields that it was made of, too.
  if (found.length === 0 && row['text'] !== undefined) return [plainText];
  return found;
}

const WORDS_FOR_LABELS: readonly unknown[] = [0, 1, 'true', 'false'];

/** `label` is a common name for other things: only what can be meant as yes or no makes a row a rating. */
const isRated = ({ kto_tag: tag, label }: JsonObject): boolean =>
  isGiven(tag) || typeof label === 'boolean' || WORDS_FOR_LABELS.includes(label);

/** Those that are not for graders: OpenAI's beside `messages`, and the ones for evaluation. */
const NOT_FOR_GRADERS: readonly string[] = [
  ...['messages', 'tools', 'parallel_tool_calls', 'functions', 'facts', 'suite'],
];

const RATING_FIELDS: readonly string[] = ['kto_tag', 'label'];

function itemOf(row: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !NOT_FOR_GRADERS.includes(name)));
}

/** OpenAI's rows for reinforcement: what is asked, and beside it what an answer is judged by: not its rating alone. */
function isPrompt(row: JsonObject, format: RowFormatReader): boolean {
  const { messages } = row;
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  const judging = Object.keys(itemOf(row)).filter((name) => !isRated(row) || !RATING_FIELDS.includes(name));
  return format === chat && isObject(last) && last['role'] === 'user' && judging.length > 0;
}

function kindOf(row: JsonObject, format: RowFormatReader): RowKind {
  if (format === plainText) return 'text';
  if (isPrompt(row, format) && !isPair(row)) return 'prompts';
  if (format === openAiPreference || isPair(row)) return 'pairs';
  return isRated(row) ? 'ratings' : 'examples';
}

function readExtras(row: JsonObject, build: RowBuilder): Pick<TrainingRow, 'facts' | 'suite'> {
  const { facts, suite } = row;
  const goodFacts = Array.isArray(facts) && facts.every((fact) => typeof fact === 'string' && fact.trim() !== '');
  if (isGiven(facts) && !goodFacts) {
    const example = 'Write "facts": ["fact", "other fact|other wording"].';
    build.refuse('wrong-type', 'facts', '"facts" must be a list of texts.', example);
  }
  if (isGiven(suite) && typeof suite !== 'string')
    build.refuse('wrong-type', 'suite', '"suite" must be text.', 'Put the name in quotes.');
  return { ...(goodFacts && { facts: facts as string[] }), ...(typeof suite === 'string' && { suite }) };
}

function readExample(build: RowBuilder): Pick<TrainingRow & { kind: 'examples' }, 'kind' | 'messages'> {
  const { messages, issues } = build;
  if (issues.length === 0 && !messages.some(({ role, weight }) => role === 'assistant' && weight !== 0)) {
    const hint =
      'Add an assistant message (with weight 1 or none); or, for answers that a grader judges, a field to judge them by.';
    build.refuse('no-assistant-turn', null, 'The row has no answer to learn from.', hint);
  }
  return { kind: 'examples', messages };
}

function readRating(
  row: JsonObject,
  build: RowBuilder,
): Pick<TrainingRow & { kind: 'ratings' }, 'kind' | 'messages' | 'desirable'> {
  const { messages, issues } = build;
  const field = fieldIn(row, ['kto_tag', 'label']);
  const label = row[field];
  if (typeof label !== 'boolean') {
    const said = `"${field}" must be true or false, it is ${describe(label)}.`;
    build.refuse(
      'wrong-type',
      field,
      said,
      'Write true for an answer to give and false for one to leave, without quotes.',
    );
  }
  if (issues.length === 0 && messages.at(-1)?.role !== 'assistant') {
    const hint = 'End the conversation with the answer that was rated.';
    build.refuse('no-assistant-turn', null, 'The row ends without the answer that was rated.', hint);
  }
  if (issues.length === 0) checkPrompt(messages.slice(0, -1), build);
  return { kind: 'ratings', messages, desirable: label === true };
}

function readPair(
  row: JsonObject,
  { answerField, pairFields = PAIR_FIELDS }: RowFormatReader,
  read: Answers | undefined,
  build: RowBuilder,
): Pick<TrainingRow & { kind: 'pairs' }, 'kind' | 'prompt'> & Answers {
  const [chosenField, rejectedField] = [fieldIn(row, pairFields.chosen), fieldIn(row, pairFields.rejected)];
  const { chosen = '', rejected = '' } = read ?? {
    chosen: readAnswer(row, chosenField, build),
    rejected: readAnswer(row, rejectedField, build),
  };
  const third = answerField === undefined ? undefined : row[answerField];
  if (typeof third === 'string' && third.trim() !== '') {
    const said = `"${answerField ?? ''}" stands beside "${chosenField}" and "${rejectedField}".`;
    build.refuse('mixed-kind', answerField ?? null, said, 'Take it out: a pair has two answers.');
  }
  if (build.issues.length === 0) checkPrompt(build.messages, build);
  if (build.issues.length === 0 && chosen.trim() === rejected.trim()) {
    const said = `"${chosenField}" and "${rejectedField}" are the same: nothing can be learnt from the pair.`;
    build.refuse('same-answers', rejectedField, said, 'Write a worse answer, or remove the row.');
  }
  return { kind: 'pairs', prompt: build.messages, chosen, rejected };
}

/** What comes before an answer that is compared or rated has to ask for it. */
function checkPrompt(prompt: RowBuilder['messages'], build: RowBuilder): void {
  const last = prompt.at(-1)?.role;
  if (last === 'user' || last === 'tool') return;
  const said =
    last === undefined ? 'Nothing is asked before the answer.' : `The ${last} speaks last before the answer.`;
  build.refuse('no-prompt', null, said, 'Let the messages before the answer end with what the user says.');
}

/** Fields that go beyond the format, once its messages are read. */
function readRow(json: JsonObject, format: RowFormatReader, kind: RowKind, build: RowBuilder): TrainingRow {
  const answers = format.read(json, kind, build);
  const common = { format: format.format, ...readExtras(json, build) };
  switch (kind) {
    case 'examples':
      return { ...common, ...readExample(build) };
    case 'pairs':
      return { ...common, ...readPair(json, format, answers, build) };
    case 'ratings':
      return { ...common, ...readRating(json, build) };
    case 'prompts':
      return { ...common, kind, messages: build.messages, item: itemOf(json) };
    case 'text':
      return { ...common, kind, text: build.text(json, 'text', 'text') ?? '' };
  }
}

const PLACEHOLDER = /\{\{\s*[\p{L}_][\p{L}\p{N}_.-]{0,60}\s*\}\}/u;

function findPlaceholders(row: TrainingRow): TrainingRowIssue[] {
  if (row.kind === 'text') return []; // prose about templates may well show one
  const match = textsOf(row)
    .map((text) => PLACEHOLDER.exec(text)?.[0])
    .find((found) => found !== undefined);
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

const FORMATS_HINT =
  'Use {"messages": [...]}, {"instruction", "output"}, {"prompt", "completion"}, {"conversations": [...]}, ' +
  '{"prompt", "chosen", "rejected"} or {"text"}.';

/** Checks one parsed JSON row and brings it into the common form of its kind. */
export function parseTrainingRow(json: unknown): ParsedRow {
  const refused = (...issue: Parameters<typeof rowError>): ParsedRow => ({
    ok: false,
    format: null,
    issues: [rowError(...issue)],
  });
  if (!isObject(json)) {
    const said = `The row must be a JSON object, it is ${describe(json)}.`;
    return refused('not-object', null, said, 'Write one object {...} on each line.');
  }
  const formats = formatsOf(json);
  const [format] = formats;
  if (format === undefined) return refused('unknown-format', null, 'The row is in no known format.', FORMATS_HINT);
  if (formats.length > 1) {
    const said = `The row mixes the formats ${formats.map((one) => one.format).join(' and ')}.`;
    return refused('mixed-format', null, said, 'Keep the fields of one format.');
  }
  const build = new RowBuilder();
  const row = readRow(json, format, kindOf(json, format), build);
  if (build.issues.length > 0) return { ok: false, format: format.format, issues: build.issues };
  return { ok: true, row, warnings: findPlaceholders(row) };
}
