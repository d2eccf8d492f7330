import { CLUSTER_EVENTS_PER_ATTEMPT, toldAtCount } from '@luthier/contracts';
import type { RunNews } from '@luthier/contracts';
import type { V1Event } from '@luthier/kube';
import type { AttemptKey } from '../../runs/run-executor.js';
import { clusterEventOf } from './cluster-event.js';

/** What was told of an Event of the cluster. */
export interface Told {
  /** The attempt and what was said of it: a large run has the same of each of its pods. */
  attempt: string;
  matter: string;
  count: number;
}

/** Of a large run a few pods tell as much as all of them. */
const MOST_ALIKE = { info: 4, warn: 16 } as const;

/**
 * What is to be told now, in the order in which the API has taken it: of each Event its first time and then at 10, 100, ... times. Pure.
 * @param told by the Event's UID
 */
export function eventsToTell(
  events: readonly V1Event[],
  told: ReadonlyMap<string, Told>,
  ownerOf: (objectUid: string) => AttemptKey | undefined,
): RunNews[] {
  const tally = new Tally(told.values());
  const due = events
    .filter((each) => isDue(each, told))
    .sort(byVersion)
    .flatMap((each) => {
      const owner = ownerOf(each.involvedObject.uid ?? '');
      const event = owner && clusterEventOf(each);
      return event ? [{ ...owner, event }] : [];
    });
  return due.filter((news) => tally.takes(news));
}

export const asTold = ({ runId, attempt, event }: RunNews): Told => ({
  attempt: `${runId}#${attempt}`,
  matter: `${event.object.kind}.${event.reason}`,
  count: event.count,
});

function isDue({ metadata: { uid = '' }, series, count }: V1Event, told: ReadonlyMap<string, Told>): boolean {
  const before = told.get(uid);
  return !before || toldAtCount(before.count) < toldAtCount(series?.count ?? count ?? 1);
}

/** Times tell less: some are whole seconds. */
const byVersion = (a: V1Event, b: V1Event): number => versionOf(a) - versionOf(b);
const versionOf = ({ metadata }: V1Event): number => Number(metadata.resourceVersion ?? 0);

/** How much was said of each attempt. */
class Tally {
  private readonly counts = new Map<string, number>();

  constructor(told: Iterable<Told>) {
    for (const one of told) this.add(one);
  }

  takes(news: RunNews): boolean {
    const one = asTold(news);
    const alike = this.counts.get(`${one.attempt} ${one.matter}`) ?? 0;
    const all = this.counts.get(one.attempt) ?? 0;
    if (alike >= MOST_ALIKE[news.event.level] || all >= CLUSTER_EVENTS_PER_ATTEMPT) return false;
    this.add(one);
    return true;
  }

  private add({ attempt, matter }: Told): void {
    for (const key of [attempt, `${attempt} ${matter}`]) this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }
}
