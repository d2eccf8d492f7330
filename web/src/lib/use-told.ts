'use client';
import { useLocale, useTranslations } from 'next-intl';
import { useMemo } from 'react';
import type { Evaluation, Job, JobEvent, Plan, ValidationReport } from './api';
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
import { useFormat } from './use-format';

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
    const text = ({ key, values, mib, times, words }: Told): string => {
      const shown = [
        ...Object.entries(mib ?? {}).map(([name, value]) => [name, format.mib(value)]),
        ...Object.entries(times ?? {}).map(([name, value]) => [name, format.time(value)]),
        ...Object.entries(words ?? {}).map(([name, word]) => [name, t(word as 'job.done')]),
      ];
      return t(key as 'job.done', { ...values, ...(Object.fromEntries(shown) as Record<string, string>) });
    };
    const error = (code: string | null, message: string, hint: string | null): ToldError => {
      const [title, advice] = [`error.${code}.title`, `error.${code}.hint`] as string[] as ['job.done', 'job.done'];
      const known = code !== null && t.has(title);
      if (!known || (english && message !== '')) return { title: message, hint: hint ?? '', original: null };
      const original = message === '' || english ? null : message;
      return { title: t(title), hint: t(advice), original };
    };
    /** What the run's own reason says names node, queue or image, and stands before the code's title. */
    const failure = (job: Job, { code, message, hint }: NonNullable<Job['error']>): ToldError => {
      const said = error(code, message, hint);
      return job.placement && !english ? { ...said, title: text(runTold(job.placement)) } : said;
    };
    const proof = (reason: string | null): string | null => {
      const told = reason === null ? null : proofTold(reason);
      return told ? text(told) : reason;
    };
    return {
      error,
      job: (job: Job): string => {
        if (job.status === 'failed' && job.error) return failure(job, job.error).title;
        return text(jobTold(job));
      },
      failure,
      run: (placement: NonNullable<Job['placement']>): string =>
        english ? placement.message : text(runTold(placement)),
      plan: (plan: Plan): string => text(planTold(plan)),
      verdict: (evaluation: Evaluation): string | null => {
        const told = verdictTold(evaluation).map(text);
        if (told.length === 0) return proof(evaluation.verdict_reason);
        return told.join(locale === 'zh' ? '' : ' ');
      },
      proof,
      event: ({ message, data }: Pick<JobEvent, 'message' | 'data'>): string => {
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
      original: (words: string): string => t('originalText', { text: words }),
    };
  }, [t, locale, format]);
}
