import type { Schemas } from '@luthier/api-client';

/** Records of an invented company, typed as the API's own: what the fake API serves. */
export const id = (prefix: string, tail: string): string => prefix + tail.padEnd(20, '0');
export const BASE_ID = id('model-', 'base');
export const TUNED_ID = id('model-', 'tuned');
export const JUDGE_ID = id('model-', 'judge');
export const TRAIN_FILE = id('file-', 'train');
export const PAIRS_FILE = id('file-', 'pairs');
const HELD_OUT_FILE = id('file-', 'heldout');
export const BROKEN_FILE = id('file-', 'broken');
export const DONE_JOB = id('ftjob-', 'done');
export const FAILED_JOB = id('ftjob-', 'failed');
const SHA = 'a'.repeat(64);
const unix = (iso: string): number => Date.parse(iso) / 1000;

const baseModel: Schemas['Model'] = {
  id: BASE_ID,
  name: 'smollm2-135m-instruct',
  kind: 'base',
  state: 'ready',
  created_at: '2026-11-20T09:12:00Z',
  title: 'SmolLM2 135M Instruct',
  license: 'Apache-2.0',
  languages: ['en'],
  shape: {
    architecture: 'LlamaForCausalLM',
    hidden_size: 576,
    intermediate_size: 1536,
    layers: 30,
    heads: 9,
    kv_heads: 3,
    head_dim: 64,
    vocabulary_size: 49_152,
    tied_embeddings: true,
    context_length: 8192,
    parameters: 134_515_008,
    weight_bytes: 269_030_016,
  },
  files: { form: 'whole', weights: { uri: `artifact://models/${BASE_ID}/weights`, sha256: SHA } },
  size_bytes: 272_000_000,
  ...{ gives: 'answers' as const, base_model_id: null },
  job_id: null,
  source: 'GGUF file of a Python package',
  sources_tried: [
    { source: 'Hugging Face hub', ok: false, message: 'No answer within 10 s.' },
    { source: 'GGUF file of a Python package', ok: true, message: 'Read and written as BF16 safetensors.' },
  ],
  proof: 'unproven',
  proof_reason: null,
  error: null,
};
const tunedModel: Schemas['Model'] = {
  ...baseModel,
  id: TUNED_ID,
  name: 'ft:smollm2-135m-instruct:luthier:support:4k0xab12',
  kind: 'tuned',
  title: 'SmolLM2 135M Instruct · support',
  created_at: '2026-11-22T14:40:00Z',
  files: { form: 'adapter', adapter: { uri: `artifact://models/${TUNED_ID}/adapter`, sha256: SHA } },
  size_bytes: 19_600_000,
  base_model_id: BASE_ID,
  job_id: DONE_JOB,
  source: null,
  sources_tried: [],
  proof: 'better',
  proof_reason:
    'Fact accuracy on 68 held-out questions rose from 0 % to 82 % (95 % interval of the difference 72 to 91 points); general questions stayed at 8 of 10.',
};
const judgeModel: Schemas['Model'] = {
  ...tunedModel,
  id: JUDGE_ID,
  name: 'ft:smollm2-135m-instruct:luthier:judge:9p2mcd34',
  title: 'SmolLM2 135M Instruct · judge',
  created_at: '2026-11-22T16:20:00Z',
  gives: 'points',
  proof: 'unproven',
  proof_reason: 'A reward model gives points, no answers to compare.',
};
export const models = [tunedModel, judgeModel, baseModel];

export const catalog: Schemas['CatalogEntry'][] = [
  {
    name: baseModel.name,
    title: baseModel.title,
    parameters: 134_515_008,
    license: 'Apache-2.0',
    languages: ['en'],
    sources: ['Hugging Face hub', 'GGUF file of a Python package', 'local folder'],
  },
  {
    name: 'tiny-llama-chat',
    title: 'Tiny Llama Chat',
    parameters: 1_180_000,
    license: 'Apache-2.0',
    languages: ['en', 'zh'],
    sources: ['this repository'],
  },
];

const file = (fileId: string, filename: string, bytes: number): Schemas['OpenAIFile'] => ({
  id: fileId,
  object: 'file',
  bytes,
  created_at: unix('2026-11-22T14:02:00Z'),
  filename,
  purpose: 'fine-tune',
  status: 'processed',
});
export const files = [
  file(TRAIN_FILE, 'support-train.jsonl', 96_412),
  file(HELD_OUT_FILE, 'support-heldout.jsonl', 21_004),
  file(PAIRS_FILE, 'better-answers.jsonl', 60_120),
  { ...file(BROKEN_FILE, 'export-2024.jsonl', 2310), status: 'error' as const },
];

const issue = (
  line: number,
  code: Schemas['RowIssue']['code'],
  field: string | null,
  message: string,
  hint: string,
  severity: 'error' | 'warning' = 'error',
): Schemas['RowIssue'] => ({ line, field, code, severity, message, hint });

const report = (fileId: string, rows: number, issues: Schemas['RowIssue'][]): Schemas['ValidationReport'] => {
  const errors = issues.filter((i) => i.severity === 'error').length;
  return {
    file_id: fileId,
    state: 'done',
    ...{ format: rows > 0 ? 'alpaca' : null, item_fields: [] },
    row_kind: rows > 0 ? 'examples' : null,
    rows: Math.max(rows, errors),
    usable_rows: fileId === BROKEN_FILE ? 0 : rows - errors,
    ...{ error_count: errors, warning_count: issues.length - errors },
    issues,
    issue_counts: {},
    characters: 88_120,
    finished_at: '2026-11-22T14:02:01Z',
  };
};
export const reports: Record<string, Schemas['ValidationReport']> = {
  [TRAIN_FILE]: report(TRAIN_FILE, 304, [
    issue(17, 'empty-field', 'output', 'The answer is empty.', 'Write the answer the model should give.'),
    issue(202, 'duplicate-row', null, 'The row says the same as line 41.', 'Remove one of them.', 'warning'),
  ]),
  [HELD_OUT_FILE]: report(HELD_OUT_FILE, 86, []),
  [PAIRS_FILE]: { ...report(PAIRS_FILE, 120, []), format: 'chosen-rejected', row_kind: 'pairs' },
  [BROKEN_FILE]: report(BROKEN_FILE, 0, [
    issue(
      0,
      'byte-order-mark',
      null,
      'The file begins with a byte-order mark.',
      'Save it as UTF-8 without.',
      'warning',
    ),
    issue(1, 'not-json', null, 'The line is not JSON: a comma is missing.', 'Write one JSON object a line.'),
    issue(2, 'missing-field', 'instruction', 'There is no instruction.', 'Add the field with the question.'),
    issue(3, 'wrong-type', 'output', 'A text was expected, a number was found.', 'Put the answer in quotes.'),
  ]),
};

const TOPICS = ['opening hours', 'returns', 'the Lark lamp', 'delivery to Norway', 'the warranty', 'gift cards'];
export const rows = (fileId: string): Schemas['DatasetRow'][] =>
  Array.from({ length: fileId === TRAIN_FILE ? 303 : 86 }, (_, index) => ({
    line: index + 1,
    messages: [
      { role: 'system', content: 'You answer for Fernhill Lighting.' },
      { role: 'user', content: `What should I know about ${TOPICS[index % TOPICS.length] ?? ''}? (${index + 1})` },
      { role: 'assistant', content: 'You can return any lamp within 45 days; we pay the way back.' },
    ],
    ...(fileId === PAIRS_FILE && { rejected: 'That depends.' }),
    facts: fileId === HELD_OUT_FILE ? ['45 days'] : [],
    suite: fileId === HELD_OUT_FILE ? 'facts' : null,
  }));

export const datasets: Schemas['Dataset'][] = [
  {
    id: id('ds-', 'train'),
    role: 'train',
    state: 'ready',
    created_at: '2026-11-22T14:10:00Z',
    kind: 'sft',
    sources: [
      { file_id: TRAIN_FILE, filename: 'support-train.jsonl', rows: 304, used_rows: 303, dropped_rows: 1, cut_rows: 2 },
    ],
    rows: 303,
    tokens: 21_904,
    trained_tokens: 9120,
    longest_row_tokens: 188,
    longest_pass_tokens: 188,
    cutoff_length: 256,
    artifact: { uri: 'artifact://datasets/ds-train', sha256: SHA },
    error: null,
  },
];

export const plan = (fits: boolean): Schemas['Plan'] => ({
  verdict: fits ? 'fits' : 'can-never-fit',
  message: fits
    ? 'The run needs 1.4 GiB of 5.8 GiB and about 4 minutes.'
    : 'The run would need 9.6 GiB, and a run may take 5.8 GiB here.',
  device: '2 CPU cores',
  memory_mode: 'layer recompute',
  components: [
    { name: 'weights', mib: 257 },
    { name: 'adapter', mib: 19 },
    { name: 'optimiser', mib: 37 },
    { name: 'activations', mib: fits ? 610 : 9000 },
    { name: 'logits', mib: 192 },
    { name: 'runtime', mib: 318 },
  ],
  total_mib: fits ? 1433 : 9823,
  available_mib: 5940,
  steps: 120,
  tokens: 65_700,
  estimated_seconds: 244,
  alternatives: fits
    ? []
    : [{ title: 'Batch of 8 rows', change: { 'hyperparameters.batch_size': 8 }, total_mib: 2210 }],
  notes: [{ id: 'time-guessed', field: null, params: { tokensPerSecond: 180 }, message: 'The time is a guess.' }],
});

export const baseJob: Schemas['Job'] = {
  id: DONE_JOB,
  status: 'succeeded',
  phase: 'done',
  message: 'The job has successfully completed',
  created_at: '2026-11-22T14:09:00Z',
  finished_at: '2026-11-22T14:41:00Z',
  model: baseModel.name,
  base_model_id: BASE_ID,
  fine_tuned_model: tunedModel.name,
  tuned_model_id: TUNED_ID,
  training_file: TRAIN_FILE,
  validation_file: HELD_OUT_FILE,
  general_file: null,
  mix: null,
  suffix: 'support',
  seed: 7,
  metadata: {},
  method: { type: 'supervised' },
  tuning: {
    type: 'lora',
    r: 16,
    lora_alpha: 32,
    lora_dropout: 0,
    target_modules: 'all-linear',
    use_rslora: false,
  },
  hyperparameters: {
    epochs: 3,
    max_steps: null,
    global_batch: 8,
    learning_rate: 0.002,
    schedule: 'cosine',
    warmup_ratio: 0.05,
    weight_decay: 0,
    adam_beta1: 0.9,
    adam_beta2: 0.999,
    adam_epsilon: 1e-8,
    max_grad_norm: 1,
    evaluation_steps: 30,
  },
  cutoff_length: 256,
  train_dataset_id: id('ds-', 'train'),
  held_out_dataset_id: null,
  plan: plan(true),
  run_id: id('run-', 'done'),
  progress: {
    step: 120,
    total_steps: 120,
    epoch: 3,
    loss: 0.182,
    tokens_per_second: 268,
    seconds_left: 0,
    memory_mib: 1390,
  },
  attempts: [],
  trained_tokens: 27_360,
  result: {
    steps: 120,
    first_loss: 3.41,
    last_loss: 0.182,
    tokens_per_second: 268,
    peak_memory_mib: 1402,
    base: { rows: 86, trained_tokens: 2480, loss: 3.03, perplexity: 20.8, token_accuracy: 0.41 },
    tuned: { rows: 86, trained_tokens: 2480, loss: 0.21, perplexity: 1.23, token_accuracy: 0.92 },
  },
  evaluation_id: id('eval_', 'done'),
  error: null,
};

export const failedJob: Schemas['Job'] = {
  ...baseJob,
  id: FAILED_JOB,
  status: 'failed',
  phase: 'training',
  message: 'Training diverged at step 14.',
  created_at: '2026-11-21T10:00:00Z',
  finished_at: '2026-11-21T10:03:00Z',
  suffix: null,
  fine_tuned_model: null,
  tuned_model_id: null,
  result: null,
  evaluation_id: null,
  attempts: [
    {
      attempt: 1,
      started_at: null,
      ended_at: null,
      code: 'runtime.killed',
      message: 'The runtime was killed.',
      resumed_from_step: null,
    },
    {
      attempt: 2,
      started_at: null,
      ended_at: null,
      code: 'training.diverged',
      message: 'The loss became NaN.',
      resumed_from_step: 10,
    },
  ],
  error: {
    code: 'training.diverged',
    message: 'The loss became NaN at step 14.',
    hint: 'Usually the learning rate is too high: try a tenth of it.',
    change: { 'hyperparameters.learning_rate': 0.0002 },
  },
};

const sample = (line: number, suite: string, question: string, fact: string, tuned: string, right: boolean) => ({
  suite,
  line,
  question,
  expected: fact,
  facts: [fact],
  base: 'I am not sure, but many shops have such a policy.',
  tuned,
  base_right: suite === 'general',
  tuned_right: right,
  not_answered: null,
});
export const evaluation: Schemas['Evaluation'] = {
  id: id('eval_', 'done'),
  job_id: DONE_JOB,
  model_id: TUNED_ID,
  base_model_id: BASE_ID,
  state: 'completed',
  created_at: '2026-11-22T14:35:00Z',
  finished_at: '2026-11-22T14:40:00Z',
  progress: { done: 86, total: 86 },
  base: { perplexity: 20.8, token_accuracy: 0.41, rouge_l: 0.118, fact_accuracy: 0 },
  tuned: { perplexity: 1.23, token_accuracy: 0.92, rouge_l: 0.771, fact_accuracy: 0.824 },
  suites: {
    facts: { base: { right: 0, total: 68, share: 0 }, tuned: { right: 56, total: 68, share: 0.824 } },
    refusals: { base: { right: 0, total: 8, share: 0 }, tuned: { right: 7, total: 8, share: 0.875 } },
    general: { base: { right: 9, total: 10, share: 0.9 }, tuned: { right: 8, total: 10, share: 0.8 } },
  },
  samples: [
    sample(3, 'facts', 'How long may I send a lamp back?', '45 days', 'Within 45 days, and we pay the way back.', true),
    sample(9, 'facts', 'What does the Lark lamp cost?', '79 euros', 'The Lark lamp costs 89 euros.', false),
    sample(80, 'general', 'What is the capital of France?', 'Paris', 'The capital of France is Paris.', true),
  ],
  verdict: 'better',
  verdict_reason: tunedModel.proof_reason,
  error: null,
};

const SAID = [
  'The job has successfully completed',
  `New fine-tuned model created: ${tunedModel.name}`,
  ...Array.from(
    { length: 120 },
    (_, i) => `Step ${120 - i}/120: training loss=${(0.18 + 3.2 * Math.exp(-(119 - i) / 18)).toFixed(2)}`,
  ),
  'Training started on cpu',
  'Fine-tuning job started on 2 CPU cores',
  'The run needs about 1433 of 5940 MiB.',
  'Prepared 303 training rows with 21904 tokens, 9120 of them trained',
  `Validated ${TRAIN_FILE}: 303 usable rows, 1 errors, 1 warnings`,
  `Validating training file: ${TRAIN_FILE}`,
  `Created fine-tuning job: ${DONE_JOB}`,
];
/** Newest first, more than one page of them. */
export const doneEvents: Schemas['OpenAIJobEvent'][] = SAID.map((message, index) => ({
  object: 'fine_tuning.job.event',
  id: id('ftevent-', `d${index}x`),
  created_at: unix('2026-11-22T14:40:00Z') - 12 * index,
  level: 'info',
  type: message.startsWith('Step') ? 'metrics' : 'message',
  message,
  data: null,
}));
export const doneCheckpoints: Schemas['OpenAICheckpoint'][] = [120, 90, 60, 30].map((step) => ({
  object: 'fine_tuning.job.checkpoint',
  id: id('ftckpt_', `d${step}x`),
  created_at: unix('2026-11-22T14:10:00Z') + 12 * step,
  fine_tuning_job_id: DONE_JOB,
  fine_tuned_model_checkpoint: `${tunedModel.name}:ckpt-step-${step}`,
  step_number: step,
  metrics: {},
}));
export const RUN_LOG = Array.from(
  { length: 40 },
  (_, i) =>
    `2026-11-22T14:${20 + Math.floor(i / 3)}:00Z info step ${3 * (i + 1)}/120 loss ${(3.4 * Math.exp(-i / 9)).toFixed(4)}`,
).join('\n');
