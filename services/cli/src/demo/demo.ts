import { createClient, unwrap } from '@luthier/api-client';
import type { LuthierClient, Schemas } from '@luthier/api-client';
import type { DemoData } from './demo-data.js';
import type { DemoReport } from './demo-report.js';
import { placeHolders, waitsForPlace } from './place-holders.js';
import { answer, evaluationOf, followJob, newestJobs, importBaseModel, uploadAndValidate } from './platform-steps.js';
import { describePlan, describeReport, describeScores, showMiss } from './show.js';
import { bar, formatSeconds } from './stages.js';
import type { Stages } from './stages.js';

/** When no source of the wanted base can be reached: a tiny model that lies in the repository. */
const FALLBACK_MODEL = 'luthier-tiny-chat';

/** Settings that a 135M model learns facts with; a larger model takes the platform's own advice. */
const SMALL_MODEL_RECIPE = {
  tuning: { type: 'lora' as const, r: 16, lora_alpha: 32, lora_dropout: 0, target_modules: 'all-linear' as const },
  method: {
    type: 'supervised' as const,
    supervised: {
      hyperparameters: { n_epochs: 3, batch_size: 8, learning_rate: 2e-3, lr_scheduler_type: 'cosine' as const },
    },
  },
};
const SMALL_MODEL_PARAMETERS_MAX = 300e6;
/** Share of general rows in the training rows: what keeps the model from forgetting what it knew. */
const GENERAL_SHARE = 0.18;

export interface DemoContext {
  stages: Stages;
  url: string;
  apiKey: string;
  data: DemoData;
  model: string;
  seed: number;
}

/** The main job through the public API, as a user's own program would do it. */
export async function runDemo(
  context: DemoContext,
): Promise<Omit<DemoReport, 'peakPssMib' | 'timings' | 'totalSeconds'>> {
  const client = createClient({ baseUrl: context.url, apiKey: context.apiKey });
  const base = await importBase(client, context);
  const files = await uploadRows(client, context);
  const jobId = await submit(client, context, base, files);
  const planned = await showPlan(client, context, jobId);
  await train(client, context, jobId);
  const job = await registerAndEvaluate(client, context, jobId);
  const evaluation = await evaluationOf(client, jobId);
  if (evaluation) showMiss(context.stages, evaluation);
  await sideBySide(client, context, base.name, job);
  return toReport(base, job, planned, evaluation);
}

async function importBase(client: LuthierClient, { stages, model: wanted }: DemoContext): Promise<Schemas['Model']> {
  return stages.run('import', 'base model imported', async (stage) => {
    let model = await importBaseModel(client, wanted);
    for (const tried of model.sources_tried) if (!tried.ok) stage.detail(`not from ${tried.source}: ${tried.message}`);
    if (model.state === 'failed' && wanted !== FALLBACK_MODEL) {
      stage.detail(`${wanted} cannot be had here, so the tiny model of the repository is used: expect tiny answers`);
      model = await importBaseModel(client, FALLBACK_MODEL);
    }
    if (model.state !== 'ready') throw new Error(model.error?.message ?? `${model.name} could not be imported`);
    const millions = Math.round((model.shape?.parameters ?? 0) / 1e6);
    return {
      line: `${model.name}, ${millions} M parameters, from ${model.source ?? 'an unnamed source'}`,
      value: model,
    };
  });
}

interface Uploaded {
  training: string;
  heldOut: string | null;
  generalRows: string | null;
  generalQuestions: string | null;
}

async function uploadRows(client: LuthierClient, { stages, data }: DemoContext): Promise<Uploaded> {
  return stages.run('upload', 'rows uploaded and validated', async (stage) => {
    const upload = async (path: string | null, what: string): Promise<string | null> => {
      if (path === null) return null;
      const { file, report } = await uploadAndValidate(client, path);
      for (const line of describeReport(what, report)) stage.detail(line);
      return file.id;
    };
    const training = await upload(data.training, 'training rows');
    const uploaded: Uploaded = {
      training: training ?? '',
      heldOut: await upload(data.heldOut, 'held-out questions'),
      generalRows: await upload(data.general?.rows ?? null, 'general rows to mix in'),
      generalQuestions: await upload(data.general?.questions ?? null, 'general questions'),
    };
    return { line: 'ready to learn from', value: uploaded };
  });
}

async function submit(
  client: LuthierClient,
  context: DemoContext,
  base: Schemas['Model'],
  files: Uploaded,
): Promise<string> {
  const small = (base.shape?.parameters ?? 0) <= SMALL_MODEL_PARAMETERS_MAX;
  const job = await unwrap(
    client.POST('/v1/fine_tuning/jobs', {
      body: {
        model: base.name,
        training_file: files.training,
        validation_file: files.heldOut,
        general_file: files.generalQuestions,
        suffix: 'support',
        seed: context.seed,
        ...(files.generalRows !== null && { mix: { file_id: files.generalRows, share: GENERAL_SHARE } }),
        ...(small && SMALL_MODEL_RECIPE),
      },
    }),
  );
  return job.id;
}

async function showPlan(client: LuthierClient, { stages }: DemoContext, jobId: string): Promise<Schemas['Job']> {
  return stages.run('plan', 'memory planned', async (stage) => {
    const job = await followJob(
      client,
      jobId,
      (seen) => seen.plan !== null,
      (seen) => stage.live(seen.message),
    );
    refuseFailed(job);
    if (!job.plan) throw new Error('the job has no plan');
    for (const line of describePlan(job.plan)) stage.detail(line);
    return {
      line: `about ${job.plan.total_mib} of ${job.plan.available_mib} MiB, ${job.plan.steps} steps`,
      value: job,
    };
  });
}

async function train(client: LuthierClient, { stages, url }: DemoContext, jobId: string): Promise<void> {
  await stages.run('train', 'fine-tuned with LoRA', async (stage) => {
    const past = new Set(['registering', 'evaluating', 'done']);
    let named = false;
    const job = await followJob(
      client,
      jobId,
      (seen) => past.has(seen.phase),
      (seen) => {
        stage.live(progressLine(seen));
        if (named || !waitsForPlace(seen)) return;
        named = true;
        void newestJobs(client)
          .then((jobs) => placeHolders(jobs, jobId, url).forEach((line) => stage.detail(line)))
          .catch(() => (named = false)); // the next look tells
      },
    );
    refuseFailed(job);
    const { result } = job;
    const line = result
      ? `${result.steps} steps, loss ${result.first_loss.toFixed(2)} → ${result.last_loss.toFixed(2)}, ${Math.round(result.tokens_per_second)} tokens/s`
      : job.message;
    return { line, value: undefined };
  });
}

function progressLine({ progress, message }: Schemas['Job']): string {
  if (!progress || progress.total_steps === 0) return message;
  const { step, total_steps: total, loss, tokens_per_second: speed, seconds_left: left } = progress;
  return [
    `${bar(step / total)} ${step}/${total}`,
    loss === null ? '' : `loss ${loss.toFixed(3)}`,
    speed === null ? '' : `${Math.round(speed)} tokens/s`,
    left === null ? '' : `${formatSeconds(left)} left`,
  ]
    .filter((part) => part !== '')
    .join('  ');
}

async function registerAndEvaluate(
  client: LuthierClient,
  { stages }: DemoContext,
  jobId: string,
): Promise<Schemas['Job']> {
  const registered = await stages.run('register', 'model registered', async () => {
    const job = await followJob(client, jobId, (seen) => seen.tuned_model_id !== null && seen.phase !== 'registering');
    refuseFailed(job);
    return { line: job.fine_tuned_model ?? '', value: job };
  });
  return stages.run('evaluate', 'base and tuned compared on held-out rows', async (stage) => {
    let busy = false;
    const job = await followJob(
      client,
      registered.id,
      () => false,
      () => {
        if (busy) return;
        busy = true;
        void evaluationOf(client, jobId)
          .then(
            (e) =>
              e &&
              e.progress.total > 0 &&
              stage.live(`${bar(e.progress.done / e.progress.total)} ${e.progress.done}/${e.progress.total} answers`),
          )
          .catch(() => undefined) // the next look shows it
          .finally(() => (busy = false));
      },
    );
    refuseFailed(job);
    const evaluation = await evaluationOf(client, jobId);
    if (!evaluation || evaluation.state !== 'completed') {
      return { line: `not measured: ${evaluation?.error?.message ?? 'no evaluation was made'}`, value: job };
    }
    for (const line of describeScores(evaluation)) stage.detail(line);
    return {
      line: evaluation.verdict === 'better' ? 'better, and shown to be' : `"${evaluation.verdict}"`,
      value: job,
    };
  });
}

async function sideBySide(
  client: LuthierClient,
  { stages, data }: DemoContext,
  baseName: string,
  job: Schemas['Job'],
): Promise<void> {
  const tunedName = job.fine_tuned_model;
  if (tunedName === null || data.questions.length === 0) return;
  await stages.run('ask', 'asked side by side', async (stage) => {
    for (const question of data.questions) {
      const base = await answer(client, baseName, question);
      const tuned = await answer(client, tunedName, question);
      stage.detail(`? ${question.text}`);
      stage.detail(`  base:  ${oneLine(base)}`);
      stage.detail(`  tuned: ${oneLine(tuned)}`);
    }
    return { line: `${data.questions.length} questions`, value: undefined };
  });
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

function refuseFailed(job: Schemas['Job']): void {
  if (job.status === 'failed')
    throw new Error(`the job failed: ${job.error?.message ?? job.message}\n  ${job.error?.hint ?? ''}`);
  if (job.status === 'cancelled') throw new Error('the job was cancelled');
}

const NO_SCORES = { perplexity: null, tokenAccuracy: null, rougeL: null, factAccuracy: null };

function toReport(
  base: Schemas['Model'],
  job: Schemas['Job'],
  planned: Schemas['Job'],
  evaluation: Schemas['Evaluation'] | undefined,
): Omit<DemoReport, 'peakPssMib' | 'timings' | 'totalSeconds'> {
  const scores = (side: Schemas['SideScores'] | null | undefined): DemoReport['base'] =>
    side
      ? {
          perplexity: side.perplexity,
          tokenAccuracy: side.token_accuracy,
          rougeL: side.rouge_l,
          factAccuracy: side.fact_accuracy,
        }
      : NO_SCORES;
  const { general, refusals } = evaluation?.suites ?? {};
  return {
    version: 1,
    baseModel: base.name,
    baseModelSource: base.source ?? '',
    model: job.tuned_model_id ?? '',
    modelName: job.fine_tuned_model ?? '',
    base: scores(evaluation?.base),
    tuned: scores(evaluation?.tuned),
    general: general ? { base: general.base.share, tuned: general.tuned.share } : null,
    refusals: refusals ? { base: refusals.base.right, tuned: refusals.tuned.right, total: refusals.tuned.total } : null,
    verdict: evaluation?.verdict ?? 'unproven',
    verdictReason: evaluation?.verdict_reason ?? null,
    job: {
      id: job.id,
      status: job.status,
      steps: job.result?.steps ?? 0,
      firstLoss: job.result?.first_loss ?? 0,
      lastLoss: job.result?.last_loss ?? 0,
      tokensPerSecond: job.result?.tokens_per_second ?? 0,
      trainedTokens: job.trained_tokens,
      planMib: planned.plan?.total_mib ?? null,
      peakMib: job.result?.peak_memory_mib ?? 0,
    },
  };
}
