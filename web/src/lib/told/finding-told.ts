import { paramsTold } from './amount-told';
import type { Findings } from '../api/cluster';
import { obstacleTold } from './obstacle-told';
import type { Told } from './told';

export type Finding = Findings['checks'][number];

/** What was looked at, what was found, and what to do: the first of these texts that there is. */
export function findingTold({ topic, profile, id, state, params, obstacle }: Finding): {
  title: Told;
  message: Told[];
  fixes: Told[];
} {
  const told = paramsTold(params);
  const ofPlace = id === 'place-never' && obstacle ? [{ key: `placeFix.${obstacle.reason}` }] : [];
  return {
    title: { key: `topic.${topic}`, values: { profile: profile ?? '' } },
    message: obstacle ? obstacleTold(obstacle) : [{ key: `finding.${id}`, ...told }],
    fixes: state === 'ok' ? [] : [...ofPlace, { key: `fix.${id}`, ...told }],
  };
}
