import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { Deadline } from './deadline.js';
import { readJson } from './read-json.js';
import { templateWorkerMain } from './template-worker.js';
import type { RenderRequest, TemplateMessage, TurnSpan, WorkerReply, WorkerSetup } from './template-worker.js';
import { TextError } from './text-error.js';
import { tokenText } from './tokenizer.js';

export const TEMPLATE_CHARACTERS_MAX = 1024 * 1024;

/** For what hangs: the start of a thread says how busy the machine is, nothing about the template. */
const START_TIMEOUT_MS = 120_000;
/** By the clock on the wall, beside a training that may use every core. */
const RENDER_TIMEOUT_MS = 10_000;

export interface ChatTemplateOptions {
  /** Special tokens that templates print, such as `bos_token`. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Time one conversation may take once the worker has started. Default 10000. */
  readonly timeoutMs?: number;
  /** Largest rendered text. Default 4 Mi characters. */
  readonly outputCharactersMax?: number;
  /** Heap of the worker. Default 128. */
  readonly memoryMib?: number;
}

export interface RenderedConversation {
  readonly text: string;
  /** One for each assistant message, in order. */
  readonly turns: readonly TurnSpan[];
}

interface Pending {
  readonly request: RenderRequest;
  readonly resolve: (rendered: RenderedConversation) => void;
  readonly reject: (error: Error) => void;
}

const REPLY_ERRORS = {
  invalid: 'text.template-invalid',
  failed: 'text.template-failed',
  'too-large': 'text.template-too-large',
} as const;

/**
 * A model's chat template. Templates come from strangers, so they run in a worker thread with limits on time, memory and
 * output; the worker starts at the first use, does not keep the process alive and is replaced after a limit was hit.
 */
export class ChatTemplate {
  /** sha256 of the template's text. */
  readonly sha256: string;
  private readonly setup: WorkerSetup;
  private readonly timeoutMs: number;
  private readonly memoryMib: number;
  private readonly pending = new Map<number, Pending>();
  private outbox: RenderRequest[] = [];
  private worker: Worker | undefined;
  private hasStarted = false;
  private readonly deadline = new Deadline();
  private nextId = 1;
  private closed = false;

  constructor(
    readonly source: string,
    options: ChatTemplateOptions = {},
  ) {
    if (source.length > TEMPLATE_CHARACTERS_MAX)
      throw new TextError('text.template-invalid', `The chat template has ${source.length} characters.`);
    this.sha256 = createHash('sha256').update(source).digest('hex');
    this.timeoutMs = options.timeoutMs ?? RENDER_TIMEOUT_MS;
    this.memoryMib = options.memoryMib ?? 128;
    const jinjaPath = createRequire(import.meta.url).resolve('@huggingface/jinja');
    const outputCharactersMax = options.outputCharactersMax ?? 4 * 1024 * 1024;
    this.setup = { jinjaPath, template: source, variables: options.variables ?? {}, outputCharactersMax };
  }

  /** The text of a conversation; with `addGenerationPrompt` it ends where an answer would begin. */
  async render(
    messages: readonly TemplateMessage[],
    options: { readonly addGenerationPrompt?: boolean } = {},
  ): Promise<string> {
    return (await this.request('text', messages, options.addGenerationPrompt ?? false)).text;
  }

  /** The text of a conversation and where its assistant turns lie. */
  async renderConversation(messages: readonly TemplateMessage[]): Promise<RenderedConversation> {
    return this.request('conversation', messages, false);
  }

  /** Ends the worker; what is still being rendered fails. */
  async close(): Promise<void> {
    this.closed = true;
    const { worker } = this;
    this.worker = undefined;
    this.rejectAll(new TextError('text.template-failed', 'The chat template was closed.'));
    await worker?.terminate();
  }

  private request(
    kind: RenderRequest['kind'],
    messages: readonly TemplateMessage[],
    addGenerationPrompt: boolean,
  ): Promise<RenderedConversation> {
    if (this.closed) return Promise.reject(new TextError('text.template-failed', 'The chat template was closed.'));
    const plain = messages.map(({ role, content }) => ({ role, content }));
    const request: RenderRequest = { id: this.nextId++, kind, messages: plain, addGenerationPrompt };
    return new Promise((resolve, reject) => {
      this.pending.set(request.id, { request, resolve, reject });
      this.send(request);
    });
  }

  /** Requests of one turn of the event loop travel together: a message between threads costs more than a short render. */
  private send(request: RenderRequest): void {
    if (this.outbox.push(request) > 1) return;
    queueMicrotask(() => {
      const batch = this.outbox;
      this.outbox = [];
      if (this.closed) return;
      (this.worker ??= this.startWorker()).postMessage(batch);
      if (!this.deadline.isSet) this.watchOldest();
    });
  }

  private startWorker(): Worker {
    const code = [
      `const { parentPort, workerData } = require('node:worker_threads');`,
      `(${templateWorkerMain.toString()})(require(workerData.jinjaPath), parentPort, workerData);`,
    ].join('\n');
    const worker = new Worker(code, {
      eval: true,
      workerData: this.setup,
      env: {},
      stdin: false,
      resourceLimits: { maxOldGenerationSizeMb: this.memoryMib, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
    });
    this.hasStarted = false;
    worker.on('message', (reply: WorkerReply) => this.receive(worker, reply));
    worker.on('error', (error: Error) =>
      this.replaceWorker(
        worker,
        new TextError('text.template-failed', `The chat template broke its worker: ${error.message}`),
      ),
    );
    // After the listeners: adding one takes the reference back.
    worker.unref();
    return worker;
  }

  private receive(worker: Worker, reply: WorkerReply): void {
    if (worker !== this.worker) return;
    if (reply === 'started') {
      this.hasStarted = true;
      return this.watchOldest();
    }
    const pending = this.pending.get(reply.id);
    this.pending.delete(reply.id);
    this.watchOldest();
    if (reply.ok) pending?.resolve({ text: reply.text, turns: reply.turns });
    else
      pending?.reject(
        new TextError(REPLY_ERRORS[reply.code], `The chat template could not be rendered: ${reply.message}`),
      );
  }

  /** The worker answers in order, so a late answer is the oldest request's fault; a late start is no template's. */
  private watchOldest(): void {
    this.deadline.clear();
    const { worker } = this;
    if (this.pending.size === 0 || !worker) return;
    if (!this.hasStarted) {
      const late = new Error(`The worker of the chat template did not start within ${START_TIMEOUT_MS} ms.`);
      return this.deadline.set(START_TIMEOUT_MS, () => this.replaceWorker(worker, late));
    }
    this.deadline.set(this.timeoutMs, () => {
      const late = `The chat template took longer than ${this.timeoutMs} ms.`;
      this.replaceWorker(worker, new TextError('text.template-timeout', late));
    });
  }

  /** Fails the oldest request and gives the others to a new worker. */
  private replaceWorker(worker: Worker, error: Error): void {
    if (worker !== this.worker) return;
    this.deadline.clear();
    this.worker = undefined;
    void worker.terminate();
    const [first, ...rest] = this.pending.values();
    if (first) {
      this.pending.delete(first.request.id);
      first.reject(error);
    }
    this.outbox = [];
    for (const { request } of rest) this.send(request);
  }

  private rejectAll(error: TextError): void {
    this.deadline.clear();
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
    this.outbox = [];
  }
}

const configSchema = z.looseObject({
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
  bos_token: tokenText,
  eos_token: tokenText,
  pad_token: tokenText,
  unk_token: tokenText,
});

/** The chat template of a model folder, from `chat_template.jinja` or tokenizer_config.json. */
export async function loadChatTemplate(
  modelDir: string,
  options: Omit<ChatTemplateOptions, 'variables'> = {},
): Promise<ChatTemplate> {
  const parsed = configSchema.safeParse(await readJson(join(modelDir, 'tokenizer_config.json')));
  if (!parsed.success)
    throw new TextError('text.tokenizer-invalid', 'tokenizer_config.json is not usable.', { modelDir });
  const { chat_template: inline, ...config } = parsed.data;
  const variables: Record<string, string> = {};
  for (const name of ['bos_token', 'eos_token', 'pad_token', 'unk_token'] as const) {
    const text = config[name];
    if (typeof text === 'string') variables[name] = text;
  }
  const path = join(modelDir, 'chat_template.jinja');
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size !== undefined && size > TEMPLATE_CHARACTERS_MAX * 4)
    throw new TextError('text.template-invalid', `The chat template has ${size} bytes.`, { path });
  const named = Array.isArray(inline) ? inline.find(({ name }) => name === 'default')?.template : inline;
  const source = size === undefined ? named : await readFile(path, 'utf8');
  if (source === undefined || source === null) {
    throw new TextError(
      'text.template-missing',
      'The model has no chat template; choose an instruct model or give it a template.',
      { modelDir },
    );
  }
  return new ChatTemplate(source, { ...options, variables });
}
