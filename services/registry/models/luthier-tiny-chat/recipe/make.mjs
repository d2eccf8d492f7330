#!/usr/bin/env node
/**
 * Makes luthier-tiny-chat from nothing with the platform's own parts. See README.md in this folder.
 *     node make.mjs [--epochs N] [--rate X] [--out FOLDER]
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RandomStream, newId } from '@luthier/contracts';
import {
  PreparedDatasetWriter,
  formatModelConfig,
  fromFloat32,
  mergePeftAdapter,
  parseModelConfig,
  writeSafetensors,
} from '@luthier/formats';
// By path: the service itself does not depend on this library.
import { encodeConversation, loadChatTemplate, loadTokenizer } from '../../../../../libs/text/dist/index.js';
import { learnBytePairs } from './byte-pairs.mjs';
import { CHAT_ROWS } from './chat-rows.mjs';

const SEED = 20;
const CUTOFF = 512;
const THREADS = 2;
const SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const SHAPE = parseModelConfig({
  model_type: 'llama',
  vocab_size: 1024,
  hidden_size: 96,
  intermediate_size: 256,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  max_position_embeddings: CUTOFF,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
  pad_token_id: 0,
});

const demoData = fileURLToPath(new URL('../../../../cli/demo-data/', import.meta.url));
const runtime = fileURLToPath(new URL('../../../../runtime-node/dist/main.js', import.meta.url));
const { values: options } = parseArgs({
  options: {
    epochs: { type: 'string', default: '50' },
    rate: { type: 'string', default: '0.003' },
    out: { type: 'string', default: fileURLToPath(new URL('../', import.meta.url)) },
  },
});

async function readRows(name) {
  const lines = (await readFile(join(demoData, name), 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

const asMessages = ({ instruction, output, system }) => [
  ...(system ? [{ role: 'system', content: system }] : []),
  { role: 'user', content: instruction },
  { role: 'assistant', content: output },
];

/** What is learned: the general rows and the simple chat. Company facts and evaluation questions are not among them. */
async function trainingConversations() {
  const general = [...(await readRows('general.en.jsonl')), ...(await readRows('general.zh.jsonl'))];
  const chat = CHAT_ROWS.map(([instruction, output]) => ({ instruction, output }));
  return [...general, ...chat].map(asMessages);
}

async function writeJson(dir, name, value) {
  await writeFile(join(dir, name), `${JSON.stringify(value, null, 1)}\n`);
}

async function writeTokenizer(dir) {
  const company = [...(await readRows('support.en.jsonl')), ...(await readRows('support.zh.jsonl'))].map(asMessages);
  const conversations = [...(await trainingConversations()), ...company];
  const texts = conversations.flat().flatMap(({ role, content }) => [content, role]);
  const { vocab, merges } = learnBytePairs(texts, SPECIAL, SHAPE.vocabSize);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  await writeFile(
    join(dir, 'tokenizer.json'),
    `${JSON.stringify({
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: SPECIAL.map((content, id) => ({ id, content, ...flags })),
      normalizer: null,
      pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] },
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        vocab,
        merges: merges.map((pair) => pair.join(' ')),
      },
    })}\n`,
  );
  const [endOfText, imStart, imEnd] = SPECIAL;
  const special = { bos_token: imStart, eos_token: imEnd, pad_token: endOfText };
  await writeJson(dir, 'special_tokens_map.json', special);
  await writeJson(dir, 'tokenizer_config.json', {
    add_prefix_space: false,
    added_tokens_decoder: Object.fromEntries(SPECIAL.map((content, id) => [id, { content, ...flags }])),
    ...special,
    unk_token: null,
    chat_template: CHAT_TEMPLATE,
    clean_up_tokenization_spaces: false,
    model_max_length: CUTOFF,
    tokenizer_class: 'PreTrainedTokenizerFast',
  });
}

function tensorShapes() {
  const { hiddenSize: hidden, intermediateSize: inner, headDim, layers, vocabSize } = SHAPE;
  const [queries, keys] = [SHAPE.attentionHeads * headDim, SHAPE.keyValueHeads * headDim];
  const ofLayer = {
    input_layernorm: [hidden],
    'self_attn.q_proj': [queries, hidden],
    'self_attn.k_proj': [keys, hidden],
    'self_attn.v_proj': [keys, hidden],
    'self_attn.o_proj': [hidden, queries],
    post_attention_layernorm: [hidden],
    'mlp.gate_proj': [inner, hidden],
    'mlp.up_proj': [inner, hidden],
    'mlp.down_proj': [hidden, inner],
  };
  return [
    ['model.embed_tokens.weight', [vocabSize, hidden]],
    ...Array.from({ length: layers }, (_, layer) =>
      Object.entries(ofLayer).map(([name, shape]) => [`model.layers.${layer}.${name}.weight`, shape]),
    ).flat(),
    ['model.norm.weight', [hidden]],
  ];
}

/**
 * Embeddings and norms are never trained by LoRA. Small embeddings let the blocks outweigh the token itself in the
 * residual stream; the large last norm then gives logits that can be sure of a token.
 */
const EMBEDDING_DEVIATION = 0.1;
const LAST_NORM = 2.5;

function initialValues(name, shape) {
  const count = shape.reduce((product, size) => product * size, 1);
  if (shape.length === 1) return new Float32Array(count).fill(name === 'model.norm.weight' ? LAST_NORM : 1);
  const deviation = name.includes('embed_tokens') ? EMBEDDING_DEVIATION : 1 / Math.sqrt(shape[1]);
  // A uniform distribution of this width has the wanted standard deviation.
  const bound = Math.sqrt(3) * deviation;
  return new RandomStream(SEED, name).uniform(count).map((u) => (2 * u - 1) * bound);
}

async function writeInitialModel(dir) {
  await mkdir(dir, { recursive: true });
  const tensors = tensorShapes().map(([name, shape]) => ({
    name,
    dtype: 'BF16',
    shape,
    data: fromFloat32(initialValues(name, shape), 'BF16'),
  }));
  await writeSafetensors(join(dir, 'model.safetensors'), tensors, { format: 'pt' });
  await writeJson(dir, 'config.json', formatModelConfig(SHAPE, 'bfloat16'));
  await writeJson(dir, 'generation_config.json', { bos_token_id: 1, eos_token_id: 2, pad_token_id: 0 });
  await writeTokenizer(dir);
}

async function prepareData(modelDir, dir) {
  const tokenizer = await loadTokenizer(modelDir);
  const template = await loadChatTemplate(modelDir);
  const conversations = await trainingConversations();
  const writer = await PreparedDatasetWriter.create(dir, {
    kind: 'sft',
    cutoffLength: CUTOFF,
    tokenizerSha256: tokenizer.sha256,
    templateSha256: template.sha256,
  });
  const sha256 = createHash('sha256').update(JSON.stringify(conversations)).digest('hex');
  const sourceFile = writer.addSource({ fileId: newId('file'), sha256, unit: 'row' });
  for (const [index, messages] of conversations.entries()) {
    const row = await encodeConversation({
      messages,
      tokenizer,
      template,
      cutoffLength: CUTOFF,
      maskPolicy: 'assistant',
    });
    const { tokens, trained, promptLength } = row;
    await writer.addRow({ tokens, trained, promptLength, sourceLine: index + 1, sourceFile });
  }
  await template.close();
  return (await writer.finish()).manifest;
}

function trainingSpec(modelDir, trainDir, outputDir) {
  return {
    version: 1,
    runId: newId('run'),
    attempt: 1,
    incarnation: 1,
    mode: 'train',
    method: { type: 'supervised' },
    // Rank = hidden size: as free as full tuning of the linear layers.
    tuning: {
      type: 'lora',
      r: SHAPE.hiddenSize,
      loraAlpha: SHAPE.hiddenSize,
      loraDropout: 0,
      targetModules: 'all-linear',
      useRslora: false,
    },
    hyperparameters: {
      epochs: Number(options.epochs),
      maxSteps: null,
      globalBatch: 16,
      learningRate: Number(options.rate),
      schedule: 'cosine',
      warmupRatio: 0.05,
      weightDecay: 0,
      adamBeta1: 0.9,
      adamBeta2: 0.98,
      adamEpsilon: 1e-8,
      maxGradNorm: 1,
      evaluationSteps: null,
    },
    parallelism: { nodes: 1, devicesPerNode: 0 },
    checkpointing: { everySteps: 100_000, keepLast: 1 },
    limits: { memoryMib: 4096, cpu: THREADS, deadlineSeconds: 3600 },
    seed: SEED,
    modelDir,
    data: { trainDir },
    outputDir,
  };
}

/** Runs the runtime; standard input stays open because it ends with the one who started it. */
async function runRuntime(specPath) {
  const child = spawn(process.execPath, [runtime, 'train', specPath], { stdio: ['pipe', 'inherit', 'inherit'] });
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('exit', resolve));
  if (code !== 0) throw new Error(`The runtime ended with ${code}.`);
}

async function report(outputDir) {
  const lines = (await readFile(join(outputDir, 'events.0.jsonl'), 'utf8')).trim().split('\n').map(JSON.parse);
  const steps = lines.filter(({ type }) => type === 'step');
  const milliseconds = steps.reduce((sum, { stepMs }) => sum + stepMs, 0);
  const tokens = steps.reduce((sum, step) => sum + step.tokens, 0);
  console.log(
    `${steps.length} steps in ${(milliseconds / 1000).toFixed(0)} s, ${((1000 * steps.length) / milliseconds).toFixed(1)} steps/s, ` +
      `${((1000 * tokens) / milliseconds).toFixed(0)} tokens/s, loss ${steps[0].loss.toFixed(3)} -> ${steps.at(-1).loss.toFixed(3)}`,
  );
}

const work = await mkdtemp(join(tmpdir(), 'luthier-tiny-chat-'));
try {
  const [modelDir, trainDir, outputDir] = ['model', 'data', 'run'].map((name) => join(work, name));
  await writeInitialModel(modelDir);
  const { rows, tokens } = await prepareData(modelDir, trainDir);
  console.log(`${rows} rows, ${tokens} tokens`);
  const specPath = join(work, 'spec.json');
  await writeFile(specPath, JSON.stringify(trainingSpec(modelDir, trainDir, outputDir)));
  await runRuntime(specPath);
  await report(outputDir);
  await mergePeftAdapter({ modelDir, adapterDir: join(outputDir, 'adapter'), outDir: options.out });
  const { size } = await stat(join(options.out, 'model.safetensors'));
  console.log(`${options.out}: weights of ${size} bytes`);
} finally {
  await rm(work, { recursive: true, force: true });
}
