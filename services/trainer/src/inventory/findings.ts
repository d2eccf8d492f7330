import type { CheckTopic, ClusterCheck, FindingId, FindingParams, FitAnswer } from '@luthier/contracts';
import { findingSentence, fixSentence, topicTitle } from './finding-sentences.js';

/** What a finding is about: a profile's part of the topic, or the whole of it. */
export type About = CheckTopic | { readonly topic: CheckTopic; readonly profile: string };

function finding<Id extends FindingId>(
  about: About,
  { id, state, params }: { id: Id; state: ClusterCheck['state']; params: FindingParams<Id> },
  obstacle: ClusterCheck['obstacle'] = null,
): ClusterCheck {
  const { topic, profile } = typeof about === 'string' ? { topic: about, profile: null } : about;
  const found = { topic, profile, id, state, params, obstacle };
  return {
    ...found,
    check: topicTitle(found),
    message: findingSentence(found),
    fix: state === 'ok' ? null : fixSentence(found),
  };
}

export const ok = <Id extends FindingId>(about: About, id: Id, params: FindingParams<Id>): ClusterCheck =>
  finding(about, { id, state: 'ok', params });
export const warn = <Id extends FindingId>(about: About, id: Id, params: FindingParams<Id>): ClusterCheck =>
  finding(about, { id, state: 'warn', params });
export const fail = <Id extends FindingId>(about: About, id: Id, params: FindingParams<Id>): ClusterCheck =>
  finding(about, { id, state: 'fail', params });

/** Whether the smallest run has a place. */
export function placeFinding(about: About, { canEverFit, fitsNow, reason, params, nearest }: FitAnswer): ClusterCheck {
  if (fitsNow) return ok(about, 'place-now', {});
  const obstacle = { reason, params, nearest };
  return canEverFit
    ? finding(about, { id: 'place-later', state: 'warn', params: {} }, obstacle)
    : finding(about, { id: 'place-never', state: 'fail', params: {} }, obstacle);
}
