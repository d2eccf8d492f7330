import type { PlatformProcess } from './platform-process.js';

export interface StreamedEntry {
  id: number;
  event: string;
  data: unknown;
}

/** Reads the live stream of a job until its end, or until `enough` says so. */
export async function readStream(
  platform: PlatformProcess,
  jobId: string,
  options: { after?: number; enough?: (entries: readonly StreamedEntry[]) => boolean } = {},
): Promise<StreamedEntry[]> {
  const { after = 0, enough = () => false } = options;
  const ended = new AbortController();
  const response = await platform.get(`/api/v1/jobs/${jobId}/stream`, {
    headers: { 'last-event-id': String(after) },
    signal: AbortSignal.any([ended.signal, AbortSignal.timeout(240_000)]),
  });
  if (!response.ok || !response.body) throw new Error(`the stream answered ${response.status}`);
  const entries: StreamedEntry[] = [];
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string): string | undefined => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1];
      const event = field('event');
      if (event === undefined) continue; // a comment that keeps the line open
      if (event === 'end') return entries;
      entries.push({ id: Number(field('id')), event, data: JSON.parse(field('data') ?? 'null') as unknown });
    }
    if (enough(entries)) {
      ended.abort();
      return entries;
    }
  }
  return entries;
}
