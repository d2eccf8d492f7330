'use client';
import { useLocale, useTranslations } from 'next-intl';
import { useMemo } from 'react';
import type { ValidationReport } from '../api/files';
import type { Evaluation, Job, JobEvent, Obstacle, Plan } from '../api/jobs';
import { changeTold } from './change-told';
import { findingTold } from './finding-told';
import type { Finding } from './finding-told';
import { formulaTold } from './formula-told';
import { notComparedTold } from './not-compared-told';
import { noteTold } from './note-told';
import type { PlanNote } from './note-told';
import { obstacleOf, obstacleTold, waitsFor } from './obstacle-told';
import { sourceFailedTold, sourceTold } from './source-told';
import type { ClusterWord, Told } from './told';
import {
  clusterTold,
  clusterWord,
  eventTold,
  jobTold,
  planTold,
  proofTold,
  repeatedLine,
  runTold,
  verdictTold,
} from './told';
import { useFormat } from '../use-format';

/** An error in the reader's language; `original` is the platform's own sentence where it says more in another one. */
interface ToldError {
  title: string;
  hint: string;
  original: string | null;
}

/**
 * What the platform says, in the reader's language: composed from statuses, numbers and codes. The platform's own
 * English sentences of errors and rows name the value at fault, so a reader of English gets them as they are.
 */
export function useTold() {
  const t = useTranslations('told');
  const locale = useLocale();
  const format = useFormat();
  return useMemo(() => {
    const english = locale === 'en';
    // The keys of `told.ts` are made of the contract's closed lists; tests hold each of them against the messages.
    const text = ({ key, values, mib, times, parts }: Told): string => {
      const shown = [
        ...Object.entries(mib ?? {}).map(([name, value]) => [name, format.mib(value)]),
        ...Object.entries(times ?? {}).map(([name, value]) => [name, format.time(value)]),
        ...Object.entries(parts ?? {}).map(([name, part]) => [name, text(part)]),
      ];
      return t(key as 'job.done', { ...values, ...(Object.fromEntries(shown) as Record<string, string>) });
    };
    const sentences = (told: readonly Told[]): string => told.map(text).join(locale === 'zh' ? '' : ' ');
    const known = (...told: readonly Told[]): boolean => told.every(({ key }) => t.has(key as 'job.done'));
    /** `message`: the platform's own sentence, for what a newer platform knows and this dashboard does not. */
    const obstacle = (found: Obstacle, message: string): string => {
      const told = obstacleTold(found);
      return known(...told) ? sentences(told) : message;
    };
    const error = (code: string | null, message: string, hint: string | null): ToldError => {
      const [title, advice] = [`error.${code}.title`, `error.${code}.hint`] as string[] as ['job.done', 'job.done'];
      if (code === null || !t.has(title) || (english && message !== ''))
        return { title: message, hint: hint ?? '', original: null };
      const original = message === '' || english ? null : message;
      return { title: t(title), hint: t(advice), original };
    };
    /** An error about a place for a run: what is in the way says more than the code's title. */
    const refusal = (
      { code, message, hint }: { code: string | null; message: string; hint: string | null },
      found: Obstacle | null,
    ): ToldError => {
      if (found === null || english || !known(...obstacleTold(found))) return error(code, message, hint);
      const sentence = obstacle(found, message);
      const title = code === 'job.not-restartable' ? t('advice.elsewhere', { sentence }) : sentence;
      return { title, hint: t('advice.look'), original: null };
    };
    /** What the run's own reason says names node, queue or image, and stands before the code's title. */
    const failure = (job: Job, { code, message, hint }: NonNullable<Job['error']>): ToldError => {
      const found = code === 'plan.does-not-fit' ? (job.plan?.obstacle ?? null) : null;
      const said = refusal({ code, message, hint }, found);
      return job.placement && !english ? { ...said, title: text(runTold(job.placement)) } : said;
    };
    const original = (words: string): string => t('originalText', { text: words });
    /** A sentence that names the value at fault: as it is in English, and where there is no other for it. */
    const translated = (sentence: string, told: Told | null): string =>
      english ? sentence : told ? text(told) : original(sentence);
    const proof = (reason: string | null): string | null => {
      const told = reason === null ? null : proofTold(reason);
      return told ? text(told) : reason;
    };
    return {
      error,
      job: (job: Job): string => {
        if (job.status === 'failed' && job.error) return failure(job, job.error).title;
        const found = job.status === 'queued' ? waitsFor(job) : null;
        return found ? obstacle(found, job.message) : text(jobTold(job));
      },
      failure,
      refusal,
      run: (placement: NonNullable<Job['placement']>): string =>
        english ? placement.message : text(runTold(placement)),
      plan: (plan: Plan): string => (plan.obstacle ? obstacle(plan.obstacle, plan.message) : text(planTold(plan))),
      /** A suggested change; null where this dashboard has no words for it. */
      change: (change: NonNullable<Job['error']>['change']): string | null => {
        const pieces = changeTold(change);
        return pieces.length > 0 && known(...pieces) ? pieces.map(text).join(locale === 'zh' ? '，' : ', ') : null;
      },
      /** Of a plan; what it says of the place is in its numbers. */
      alternative: ({ title, change }: Plan['alternatives'][number]): string => {
        const pieces = english && !('resources.nodes' in change) ? [] : changeTold(change);
        return pieces.length > 0 && known(...pieces) ? pieces.map(text).join(locale === 'zh' ? '，' : ', ') : title;
      },
      note: (note: PlanNote): string => {
        const told = noteTold(note);
        return known(told) ? text(told) : note.message;
      },
      finding: (finding: Finding): { title: string; message: string; fix: string | null } => {
        const { title, message, fixes } = findingTold(finding);
        const fix = fixes.find((told) => known(told));
        return known(title, ...message) && (fix || finding.fix === null)
          ? { title: text(title), message: sentences(message), fix: fix ? text(fix) : null }
          : { title: finding.check, message: finding.message, fix: finding.fix };
      },
      verdict: (evaluation: Evaluation): string | null => {
        const told = verdictTold(evaluation);
        return told.length === 0 ? proof(evaluation.verdict_reason) : sentences(told);
      },
      proof,
      source: (source: string): string => {
        const told = sourceTold(source);
        return told ? text(told) : source;
      },
      notCompared: (reason: string): string => translated(reason, notComparedTold(reason)),
      sourceFailed: (message: string): string => translated(message, sourceFailedTold(message)),
      formulaFault: (fault: string): string => translated(fault, formulaTold(fault)),
      event: ({ message, data }: Pick<JobEvent, 'message' | 'data'>): string => {
        const found = obstacleOf(data);
        if (found) return obstacle(found, message);
        const ofCluster = clusterWord(data);
        const told = ofCluster ? clusterTold(ofCluster) : eventTold(message);
        if (told && t.has(told.key as 'job.done')) return text(told);
        const code = data?.['code'];
        return typeof code === 'string' ? error(code, message, null).title : message;
      },
      clusterObject: ({ object, count }: ClusterWord): string => t('cluster.about', { ...object, count }),
      issue: ({ code, message, hint }: ValidationReport['issues'][number]): { title: string; hint: string } => {
        if ((english && message !== '') || !t.has(`issue.${code}.title`)) return { title: message, hint };
        const line = code === 'duplicate-row' ? repeatedLine(message) : null;
        const same = line === null ? '' : english ? ` (${t('sameAs', { line })})` : `（${t('sameAs', { line })}）`;
        return { title: t(`issue.${code}.title`) + same, hint: t(`issue.${code}.hint`) };
      },
      original,
    };
  }, [t, locale, format]);
}
