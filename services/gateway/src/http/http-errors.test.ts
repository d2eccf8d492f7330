import { describe, expect, it } from '@jest/globals';
import { AppError } from '@luthier/contracts';
import type { Obstacle } from '@luthier/contracts';
import { inWireNames, openAiBody, problemBody, toAppError } from './http-errors.js';

const thrown = (fields: object): Error => Object.assign(new Error('inner text'), fields);

describe('what is thrown', () => {
  it.each([
    [thrown({ code: 'ENOSPC' }), 'disk.full', 507],
    [thrown({ code: 'EDQUOT' }), 'disk.full', 507],
    [thrown({ code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 }), 'request.too-large', 413],
    [thrown({ code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE', statusCode: 415 }), 'request.invalid', 400],
    [thrown({ statusCode: 400 }), 'request.invalid', 400],
    [thrown({}), 'internal', 500],
    ['a string', 'internal', 500],
    [new AppError('job.not-found'), 'job.not-found', 404],
  ])('%p becomes %s with status %i', (given, code, status) => {
    expect(toAppError(given)).toMatchObject({ code, httpStatus: status });
  });

  it('never shows what went wrong inside', () => {
    const error = toAppError(thrown({ stack: 'secret stack' }));
    const shown = JSON.stringify([openAiBody(error), problemBody(error, 'req_1')]);
    expect(shown).not.toMatch(/inner text|secret stack/);
  });

  it('has all four fields of OpenAI, null where there is nothing', () => {
    expect(openAiBody(new AppError('auth.missing'))).toMatchObject({
      error: { message: 'No API key was sent', type: 'authentication_error', param: null, code: 'auth.missing' },
    });
  });

  it('of a service speaks the field names of the caller', () => {
    const error = inWireNames(new AppError('request.invalid', 'no', { param: 'tuning.loraAlpha' }));
    expect(error).toMatchObject({ param: 'tuning.lora_alpha', code: 'request.invalid', message: 'no' });
  });

  it('says in either form what is in the way of a run, also after its field was renamed', () => {
    const nearest = { nodes: 2, devicesPerNode: 8, deviceType: null, otherType: false, withoutQueue: false };
    const why: Obstacle = { reason: 'node-too-small', params: { devicesPerNode: 16, largest: 8 }, nearest };
    const error = inWireNames(new AppError('plan.does-not-fit', 'no', { param: 'devicesPerNode', obstacle: why }));
    const shown = {
      ...{ reason: why.reason, params: why.params },
      nearest: { nodes: 2, devices_per_node: 8, device_type: null, other_type: false, without_queue: false },
    };
    expect(error).toMatchObject({ param: 'devices_per_node' });
    expect(openAiBody(error as AppError).error).toMatchObject({ obstacle: shown });
    expect(problemBody(error as AppError, 'req_1')).toMatchObject({ obstacle: shown });
    expect(problemBody(new AppError('auth.missing'), 'req_1')).not.toHaveProperty('obstacle');
  });
});
