import { MessagePattern, RpcException } from '@nestjs/microservices';
import type { NatsContext } from '@nestjs/microservices';
import type { z } from 'zod';
import { AppError } from '@luthier/contracts';
import type { RequestDefinition } from '@luthier/contracts';
import { parsePayload } from './validation.js';

/** What a handler throws becomes this on its way out of Nest: the reply for the caller, the fault for the log. */
export class RequestFailure extends RpcException {
  constructor(readonly appError: AppError) {
    super(appError.toReply());
  }
}

export type RequestHandler<Req extends z.ZodType, Res extends z.ZodType> = (
  payload: z.output<Req>,
  context: NatsContext,
) => Promise<z.input<Res>> | z.input<Res>;

/**
 * Makes a controller method the handler of a request. The payload is validated first; an AppError is answered as it is,
 * anything else as `internal` with its cause in the log only, never at the caller's.
 */
export function OnRequest<Req extends z.ZodType, Res extends z.ZodType>(definition: RequestDefinition<Req, Res>) {
  return <Handler extends RequestHandler<Req, Res>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Handler>,
  ): void => {
    const handler = descriptor.value;
    if (!handler) throw new Error(`@OnRequest belongs on a method, not on ${String(key)}`);
    const wrapped = async function (this: unknown, payload: unknown, context: NatsContext): Promise<unknown> {
      try {
        const answer = await handler.call(this, parsePayload(definition.request, payload), context);
        // An undefined answer would leave the packet without `response`; null survives JSON.
        return answer === undefined ? null : answer;
      } catch (thrown) {
        throw new RequestFailure(AppError.from(thrown));
      }
    };
    // The decorator helper defines the method again from this descriptor once all decorators have run.
    Object.assign(descriptor, { value: wrapped });
    MessagePattern(definition.subject)(target, key, descriptor);
  };
}
