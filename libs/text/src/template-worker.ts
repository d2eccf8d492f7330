import type { MessagePort } from 'node:worker_threads';

export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
}

export interface RenderRequest {
  readonly id: number;
  readonly kind: 'text' | 'conversation';
  readonly messages: readonly TemplateMessage[];
  readonly addGenerationPrompt: boolean;
}

/** Where an assistant turn lies in the rendered text, in UTF-16 units; `consistent` is false when that cannot be said. */
export interface TurnSpan {
  readonly message: number;
  readonly start: number;
  readonly end: number;
  readonly consistent: boolean;
}

export type RenderReply =
  | { readonly id: number; readonly ok: true; readonly text: string; readonly turns: readonly TurnSpan[] }
  | {
      readonly id: number;
      readonly ok: false;
      readonly code: 'invalid' | 'failed' | 'too-large';
      readonly message: string;
    };

/** `started` comes before all answers: from then on it is the template that takes the time. */
export type WorkerReply = 'started' | RenderReply;

export interface WorkerSetup {
  readonly jinjaPath: string;
  readonly template: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly outputCharactersMax: number;
}

interface Jinja {
  readonly Template: new (source: string) => { render(items: Record<string, unknown>): string };
}

/**
 * Body of the worker in which foreign templates run. It is turned into source text and evaluated there, so it must not
 * refer to anything outside of itself.
 */
export function templateWorkerMain(jinja: Jinja, port: MessagePort, setup: WorkerSetup): void {
  port.postMessage('started');
  let template: { render(items: Record<string, unknown>): string } | undefined;
  let invalid = '';
  try {
    template = new jinja.Template(setup.template);
  } catch (error) {
    invalid = String(error);
  }
  const fault = (code: 'invalid' | 'failed' | 'too-large', message: string): Error =>
    Object.assign(new Error(message), { code });
  const render = (messages: readonly TemplateMessage[], addGenerationPrompt: boolean): string => {
    if (!template) throw fault('invalid', invalid);
    const copies = messages.map((message) => ({ ...message }));
    const text = template.render({ ...setup.variables, messages: copies, add_generation_prompt: addGenerationPrompt });
    if (text.length > setup.outputCharactersMax)
      throw fault('too-large', `more than ${setup.outputCharactersMax} characters`);
    return text;
  };
  const spanOf = (messages: readonly TemplateMessage[], index: number, full: string): TurnSpan => {
    const inconsistent = { message: index, start: 0, end: 0, consistent: false };
    try {
      const start = render(messages.slice(0, index), true);
      const end = index === messages.length - 1 ? full : render(messages.slice(0, index + 1), false);
      if (!end.startsWith(start) || !full.startsWith(end)) return inconsistent;
      return { message: index, start: start.length, end: end.length, consistent: true };
    } catch {
      // A template may refuse a part of a conversation (for instance one that does not begin with a user).
      return inconsistent;
    }
  };
  const answer = (request: RenderRequest): RenderReply => {
    try {
      const text = render(request.messages, request.addGenerationPrompt);
      const turns: TurnSpan[] = [];
      if (request.kind === 'conversation') {
        request.messages.forEach((message, index) => {
          if (message.role === 'assistant') turns.push(spanOf(request.messages, index, text));
        });
      }
      return { id: request.id, ok: true, text, turns };
    } catch (error) {
      const { code } = error as { code?: unknown };
      const known = code === 'invalid' || code === 'too-large' ? code : 'failed';
      return { id: request.id, ok: false, code: known, message: String((error as Error).message).slice(0, 500) };
    }
  };
  port.on('message', (requests: RenderRequest[]) => {
    for (const request of requests) port.postMessage(answer(request));
  });
}
