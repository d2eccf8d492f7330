import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createTranslator } from 'next-intl';
import type { Evaluation, Job } from '../api/jobs';
import { notComparedTold } from './not-compared-told';
import { sourceFailedTold } from './source-told';
import {
  RUN_VALUES,
  clusterTold,
  clusterWord,
  eventTold,
  jobTold,
  proofTold,
  repeatedLine,
  runTold,
  verdictTold,
} from './told';

const repository = join(import.meta.dirname, '../../../..');
const json = (...path: string[]): unknown => JSON.parse(readFileSync(join(repository, ...path), 'utf8'));
const messages = { en: json('web/messages/en.json'), zh: json('web/messages/zh.json') };

/** The text that a key of `told` stands for. */
const textOf = (locale: 'en' | 'zh', key: string): unknown =>
  ['told', ...key.split('.')].reduce<unknown>(
    (at, part) => (at as Record<string, unknown> | undefined)?.[part],
    messages[locale],
  );

/** The closed list of the API's description that holds this value. */
function listWith(value: string): string[] {
  let found: string[] = [];
  JSON.stringify(json('libs/api-client/openapi.generated.json'), (_key, node: unknown) => {
    if (Array.isArray(node) && node.includes(value) && node.length > found.length) found = node as string[];
    return node;
  });
  return found;
}

const missing = (keys: string[]): string[] =>
  keys.flatMap((key) =>
    (['en', 'zh'] as const).flatMap((l) => (typeof textOf(l, key) === 'string' ? [] : [`${l} ${key}`])),
  );
const job = (change: Partial<Job>) =>
  jobTold({ status: 'running', phase: 'training', message: '', progress: null, ...change });

describe('what the platform says, in the reader’s language', () => {
  it('every error code of the API has a title and a hint in both languages', () => {
    const codes = listWith('request.invalid');
    expect(codes.length).toBeGreaterThan(40);
    expect(missing(codes.flatMap((code) => [`error.${code}.title`, `error.${code}.hint`]))).toEqual([]);
  });

  it('every code of a row has a sentence and what to do in both languages', () => {
    const codes = listWith('placeholder-left');
    expect(codes.length).toBeGreaterThan(10);
    expect(missing(codes.flatMap((code) => [`issue.${code}.title`, `issue.${code}.hint`]))).toEqual([]);
  });

  it('every status, phase and plan verdict of the API has a sentence', () => {
    const statuses = listWith('validating_files') as Job['status'][];
    const phases = listWith('scheduling') as Job['phase'][];
    const keys = statuses.flatMap((status) => phases.map((phase) => job({ status, phase }).key));
    expect(missing([...new Set(keys)])).toEqual([]);
    expect(missing(listWith('can-never-fit').map((verdict) => `plan.${verdict}`))).toEqual([]);
  });

  it('every finding of the doctor and everything that can be in the way of a run has a sentence', () => {
    const ofPlace = ['place-later', 'place-never'];
    const findings = listWith('api-answers').filter((id) => !ofPlace.includes(id));
    expect(findings.length).toBeGreaterThan(30);
    expect(missing(findings.map((id) => `finding.${id}`))).toEqual([]);
    expect(missing(listWith('training-runtime').map((topic) => `topic.${topic}`))).toEqual([]);
    expect(missing(listWith('nodes-to-come').map((reason) => `fit.${reason}`))).toEqual([]);
  });

  it('tells how far a training is and why a queued job waits', () => {
    const progress = { step: 12, total_steps: 40 } as NonNullable<Job['progress']>;
    expect(job({ progress })).toEqual({ key: 'job.trainingStep', values: { step: 12, total: 40 } });
    const message = 'Waiting for memory on "local-cpu": the run needs about 1433 MiB, 900 MiB are free.';
    expect(job({ status: 'queued', phase: 'queued', message })).toEqual({
      key: 'job.waitsForMemory',
      values: { device: 'local-cpu' },
      mib: { needed: 1433, free: 900 },
    });
    expect(job({ status: 'queued', message: 'Waiting for GPUs: needs 8, 4 free now.' })).toEqual({
      key: 'job.waitsForGpus',
      values: { needed: 8, free: 4 },
    });
  });

  it('tells a rehearsal from the run itself', () => {
    const rehearsal = { run_id: 'run-1', state: 'running' } as const;
    expect(job({ phase: 'starting', rehearsal }).key).toBe('job.rehearsing');
    expect(job({ phase: 'starting', rehearsal: { ...rehearsal, state: 'done' } }).key).toBe('job.starting');
    const message = 'The rehearsal has succeeded; waiting for a place to run';
    expect(job({ status: 'queued', phase: 'queued', message }).key).toBe('job.waitsRehearsed');
    expect(missing(['job.rehearsing', 'job.waitsRehearsed'])).toEqual([]);
  });

  it.each([
    ['no answer within 10 s', 'silent'],
    ['cannot be reached (ENOTFOUND)', 'unreachable'],
    ['answered 404 for org/model', 'refused'],
    ['org/model has no safetensors file', 'noWeights'],
    ['the folder has no safetensors file', 'noWeights'],
    ['the weights are pickled files, which are never loaded; convert them to safetensors', 'pickled'],
    ['org/model has 900 bytes, the limit is 100', 'tooLarge'],
    ['the model is larger than the limit of 100 bytes', 'tooLarge'],
    ['LUTHIER_MODEL_DIR is not set', 'notSet'],
    ['the folder is not there', 'noFolder'],
    ['model.safetensors ended after 12 of 900 bytes', 'cutOff'],
  ])('knows why nothing came from a source: "%s"', (message, key) => {
    expect(sourceFailedTold(message)?.key).toBe(`sourceFailed.${key}`);
    expect(missing([`sourceFailed.${key}`])).toEqual([]);
  });

  it.each([
    ['Comparing takes about 900 MiB of memory; 500 MiB are allowed.', 'memory'],
    ['Comparing was begun, but not finished: The work took more than 500 MiB of memory.', 'memoryTaken'],
    ['Comparing was begun, but not finished: The work took longer than 900 s.', 'time'],
    ['An adapter of this kind is not computed here beside its base.', 'adapterKind'],
  ])('knows why an export was not compared: "%s"', (reason, key) => {
    expect(notComparedTold(reason)?.key).toBe(`notCompared.${key}`);
    expect(missing([`notCompared.${key}`])).toEqual([]);
  });

  it.each([
    ['Created fine-tuning job: ftjob-1', 'created'],
    ['Validated file-1: 303 usable rows, 1 errors, 2 warnings', 'validated'],
    ['Prepared 303 training rows with 21904 tokens, 9120 of them trained', 'prepared'],
    ['The run needs about 1433 of 5940 MiB.', 'fits'],
    ['Training goes on from step 20 on cpu', 'resumedAt'],
    ['Rehearsal of the fine-tuning job started on cpu', 'rehearsalPlaced'],
    ['The rehearsal took 1433 MiB and 0.4 s a step', 'rehearsed'],
    ['Step 3/40: training loss=1.25', 'step'],
    ['Step 20: validation loss=1.25', 'heldOut'],
    [
      'Ended at step 18 of 50, after 2 evaluations in a row without a lower loss; the model of step 12 is kept, with the lowest loss on the held-out rows (1.2345).',
      'endedEarly',
    ],
    [
      'Ended at step 18 of 50, after 2 evaluations in a row without a lower loss; the last model is kept, as the loss on the held-out rows was never a finite number.',
      'endedUnmeasured',
    ],
    [
      'All 50 steps were made; the model of step 12 is kept, with the lowest loss on the held-out rows (-1.2345).',
      'bestKept',
    ],
    ['New fine-tuned model created: ft:base:org:support:abc', 'model'],
    ['The training process was killed. Attempt 2 goes on from step 20.', 'retry'],
    ['The job has successfully completed', 'completed'],
    ['The job has succeeded, but the model is unproven: The job has no held-out rows, so nothing', 'noHeldOut'],
    ['The job has succeeded, but the model is unproven: A reward model gives points instead of', 'rewardModel'],
    ['The job has succeeded, but the model is unproven: Prompts hold no answers to compare with', 'promptsOnly'],
    ['The job has succeeded, but the model is unproven: The evaluation took too long.', 'unproven'],
    ['The run ran out of memory; trying again: activations computed layer by layer, about 860 MiB', 'again.recompute'],
    ['The run ran out of memory; trying again: batch of 4, about 860 MiB', 'again.batch'],
    ['The run ran out of memory; trying again: rows cut at 512 tokens, about 860 MiB', 'again.rows'],
    ['The run ran out of memory; trying again: rank 8, about 860 MiB', 'again.rank'],
    ['The run ran out of memory; trying again: rows cut at 64 tokens, rank 4, about 860 MiB', 'again.several'],
  ])('knows the event "%s"', (message, key) => {
    const told = eventTold(message);
    expect(told?.key).toBe(`event.${key}`);
    expect(missing([`event.${key}`])).toEqual([]);
  });

  it('tells the new size of a run that ran out of memory', () => {
    const message = 'The run ran out of memory; trying again: rows cut at 512 tokens, about 860 MiB';
    const expected = { key: 'event.again.rows', values: { count: 512 }, mib: { total: 860 } };
    expect(eventTold(message)).toEqual(expected);
    expect(job({ status: 'queued', phase: 'preparing', message })).toEqual(expected);
  });

  it('says of a job that succeeded without proof that nothing is proven', () => {
    const message = 'The job has succeeded, but the model is unproven: The evaluation took too long.';
    const told = job({ status: 'succeeded', phase: 'done', message });
    expect(told.key).toBe('job.succeededUnproven');
    expect(missing([told.key, 'verdict.noHeldOut', 'verdict.rewardModel', 'verdict.promptsOnly'])).toEqual([]);
    expect(proofTold('The job has no held-out rows, so nothing shows …')).toEqual({ key: 'verdict.noHeldOut' });
    expect(proofTold('A reward model gives points instead of answers …')).toEqual({ key: 'verdict.rewardModel' });
    expect(proofTold('Prompts hold no answers to compare with; …')).toEqual({ key: 'verdict.promptsOnly' });
    expect(proofTold('The evaluation failed: no answers')).toBeNull();
  });

  it('every component of a plan has a name in both languages', () => {
    const components = listWith('adapterAndOptimiser');
    expect(components.length).toBeGreaterThan(5);
    for (const { jobs } of [messages.en, messages.zh] as { jobs: { component: Record<string, string> } }[]) {
      expect(Object.keys(jobs.component).toSorted()).toEqual(components.toSorted());
      expect(new Set(Object.values(jobs.component)).size).toBe(components.length);
    }
  });

  it('leaves an event that it does not know as it is', () => {
    expect(eventTold('Something new has happened')).toBeNull();
  });

  it('counts the verdict from the suites, general questions apart', () => {
    const side = (right: number, total: number) => ({ right, total, share: right / total });
    const suites = {
      facts: { base: side(0, 68), tuned: side(56, 68) },
      refusals: { base: side(0, 8), tuned: side(7, 8) },
      general: { base: side(9, 10), tuned: side(3, 10) },
    };
    const told = (verdict: string, verdict_reason: string) =>
      verdictTold({ suites, verdict, verdict_reason } as unknown as Evaluation);
    expect(told('better', 'Right … (p < 0.001).')).toEqual([
      { key: 'verdict.counts', values: { tuned: 63, base: 0, total: 76, p: '< 0.001' } },
      { key: 'verdict.general', values: { tuned: 3, base: 9, total: 10 } },
    ]);
    const named = 'Right … (p < 0.001). Not answered and not counted: 2 of 78 rows. line 4 (facts): Too long.';
    expect(told('better', named).at(-1)).toEqual({ key: 'verdict.notAnswered', values: { count: 2, total: 78 } });
    expect(told('not-shown', 'Too much of what the base knew is gone').at(-1)).toEqual({ key: 'verdict.forgotten' });
    expect(told('not-shown', 'The difference may be chance.').at(-1)).toEqual({ key: 'verdict.chance' });
  });

  it('finds the line that a repeated row names', () => {
    expect(repeatedLine('The row says the same as line 41.')).toBe(41);
    expect(repeatedLine('The row repeats.')).toBeNull();
  });
});

describe('what the cluster says', () => {
  const { properties } = json('libs/contracts/schema/cluster-event.json') as {
    properties: { what: { enum: string[] } };
  };
  const data = (over: Record<string, unknown>) => ({
    ...{ source: 'kubernetes', reason: 'FailedMount', object: { kind: 'Pod', name: 'ft-1' }, count: 3 },
    ...over,
  });

  it('everything that the contract names has a sentence in both languages', () => {
    expect(properties.what.enum.length).toBeGreaterThan(30);
    expect(missing(properties.what.enum.map((what) => `cluster.${what}`))).toEqual([]);
  });

  it('is told by what it is, or, where there is no sentence for it, by its own reason', () => {
    const known = clusterWord(data({ what: 'Pod.FailedMount', node: 'gpu-1', excerpt: 'timed out' }));
    expect(known).toMatchObject({ object: { kind: 'Pod', name: 'ft-1' }, count: 3, excerpt: 'timed out' });
    expect(known && clusterTold(known)).toEqual({ key: 'cluster.Pod.FailedMount', values: { node: 'gpu-1' } });
    const other = clusterWord(data({ reason: 'NetworkNotReady' }));
    expect(other && clusterTold(other)).toEqual({ key: 'cluster.other', values: { reason: 'NetworkNotReady' } });
    expect(missing(['cluster.other', 'cluster.about'])).toEqual([]);
  });

  it('is not taken for the cluster’s what is not', () => {
    expect(clusterWord(null)).toBeNull();
    expect(clusterWord({ code: 'run.stalled' })).toBeNull();
    expect(clusterWord(data({ object: 'Pod' }))).toBeNull();
  });
});

describe('why a run waits or ended', () => {
  type Reason = NonNullable<Job['placement']>['reason'];
  const reasons = listWith('waiting-for-gpus') as Reason[];
  const params = listWith('placed');
  const all = Object.fromEntries(params.map((name) => [name, name === 'resource' ? 'nvidia.com/gpu' : 7]));
  const say = (locale: 'en' | 'zh', told: ReturnType<typeof runTold>): string => {
    const onError = (error: Error): never => {
      throw error;
    };
    const texts = messages[locale] as { told: { done: string } };
    const t = createTranslator({ locale, messages: texts, namespace: 'told', onError });
    const parts = Object.entries(told.parts ?? {}).map(([name, { key }]) => [name, t(key as 'done')] as const);
    return t(told.key as 'done', { ...told.values, ...told.times, ...Object.fromEntries(parts) });
  };

  it('every reason has a sentence in both languages, with all of its values and with none', () => {
    expect(reasons.length).toBeGreaterThan(40);
    for (const reason of reasons) {
      for (const locale of ['en', 'zh'] as const) {
        expect(say(locale, runTold({ reason, params: all }))).not.toMatch(/\bnone\b|[{}]/);
        expect(say(locale, runTold({ reason, params: {} }))).not.toMatch(/\bnone\b|[{}]| {2}/);
      }
    }
  });

  it('every value that a reason may carry is known here', () => {
    const carried = params.map((name) => (name === 'seconds' ? 'minutes' : name));
    expect([...RUN_VALUES].sort()).toEqual(carried.sort());
  });

  it.each([
    ['waiting-for-gpus', { needed: 8, free: 3 }, '正在等待 GPU：单个节点需要 8 个，目前空闲 3 个'],
    [
      'quota-exceeded',
      { quota: 'team', resource: 'requests.nvidia.com/gpu', used: 1, limit: 2, needed: 4 },
      '配额“team”不足：GPU 共 2，已用 1，这次训练需要 4',
    ],
    ['image-pull', { image: 'a/b', cause: 'notFound' }, '无法获取训练镜像“a/b”：不存在'],
    ['stalled', { seconds: 900 }, '训练已有 15 分钟没有进展，进程之间可能在互相等待'],
    ['node-lost', { node: 'gpu-1', step: 900 }, '节点“gpu-1”失去响应；训练将从第 900 步继续'],
    ['node-pressure', { node: 'gpu-1', resource: 'ephemeral-storage' }, '节点“gpu-1”的磁盘不足'],
  ] as const)('%s is told with its values', (reason, given, sentence) => {
    expect(say('zh', runTold({ reason, params: given }))).toBe(sentence);
  });

  it('stands for a job that is being placed, and not for one that trains', () => {
    const placement = { reason: 'waiting-for-gpus' as const, params: { needed: 8 }, message: '', excerpt: null };
    expect(job({ phase: 'scheduling', placement }).key).toBe('run.waiting-for-gpus');
    expect(job({ phase: 'training', placement }).key).toBe('job.training');
  });
});
