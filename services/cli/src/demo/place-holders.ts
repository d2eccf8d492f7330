import type { Schemas } from '@luthier/api-client';

type Holder = Pick<Schemas['Job'], 'id' | 'status' | 'suffix' | 'model' | 'message'>;

/** Whether a job waits only because another one, perhaps of an earlier demo that was broken off, has the place. */
export const waitsForPlace = ({ message }: Pick<Schemas['Job'], 'message'>): boolean =>
  message.startsWith('Waiting for a free place') || /^(One|\d+) jobs? waits? before/.test(message);

/** Which jobs come before this one, and what can be done about each. */
export function placeHolders(jobs: readonly Holder[], ownId: string, url: string): string[] {
  return jobs
    .filter(({ id, status }) => id !== ownId && (status === 'running' || status === 'queued'))
    .flatMap(({ id, suffix, model, status, message }) => [
      `${suffix ?? model} (${id}) ${status === 'running' ? 'has the place' : 'waits before this one'}: ${message}`,
      `  it goes on by itself; to pause or end it: ${url}/jobs/${id}, or luthier cancel ${id}`,
    ]);
}
