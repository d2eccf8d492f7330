/** One step that a trainer makes in the world: a write to the Kubernetes API, or of a run's status. */
export interface WorldCall {
  /** `POST jobs`, `PATCH secrets`, `PUT status`, ... */
  what: string;
  /** All that was said: holds the run's id, or what names of its objects hold of it. */
  about: string;
}

/** `pass`, or die: before the world has heard of it, or when it has but the answer is not back. */
export type Verdict = 'pass' | 'die-before' | 'die-after';
export type Judge = (call: WorldCall) => Verdict;
