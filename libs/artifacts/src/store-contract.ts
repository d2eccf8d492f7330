import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { AppError } from '@luthier/contracts';
import { readArtifact } from './artifact-store.js';
import type { ArtifactStore } from './artifact-store.js';

/** The few functions of a test runner that the suite needs, so that this file depends on none. */
export interface TestRunner {
  describe: (name: string, body: () => void) => void;
  it: (name: string, body: () => Promise<void>) => void;
  /** Throws unless both are deeply equal. */
  equal: (actual: unknown, expected: unknown) => void;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (thrown: unknown) => (thrown as AppError).code,
  );

/** What every adapter of ArtifactStore must do; `open` gives an empty store. */
export function artifactStoreContract(name: string, open: () => Promise<ArtifactStore>, runner: TestRunner): void {
  const { describe, it, equal } = runner;
  const text = async (store: ArtifactStore, uri: string): Promise<string> =>
    (await readArtifact(store, uri)).toString();

  describe(name, () => {
    it('gives back what was put, with size and SHA-256 taken on the way', async () => {
      const store = await open();
      const stored = await store.put('artifact://files/file-1/data.jsonl', Readable.from(['hello ', 'world']));
      equal(stored, { uri: 'artifact://files/file-1/data.jsonl', sizeBytes: 11, sha256: sha256('hello world') });
      equal(await text(store, stored.uri), 'hello world');
      equal((await store.stat(stored.uri))?.sizeBytes, 11);
    });
    it('stores an empty artifact', async () => {
      const store = await open();
      equal((await store.put('artifact://files/file-1/empty', '')).sizeBytes, 0);
      equal(await text(store, 'artifact://files/file-1/empty'), '');
    });
    it('replaces an artifact whole', async () => {
      const store = await open();
      await store.put('artifact://files/file-1/a', 'long content');
      await store.put('artifact://files/file-1/a', 'short');
      equal(await text(store, 'artifact://files/file-1/a'), 'short');
    });
    it('keeps the old artifact when the new content breaks off, is too long or has another SHA-256', async () => {
      const store = await open();
      const uri = 'artifact://files/file-1/a';
      await store.put(uri, 'old');
      const breaking = Readable.from(
        (async function* () {
          yield Buffer.from('ne');
          throw new Error('connection lost');
        })(),
      );
      equal(await codeOf(store.put(uri, breaking)), undefined);
      equal(await codeOf(store.put(uri, 'far too long', { maxSizeBytes: 4 })), 'request.too-large');
      equal(await codeOf(store.put(uri, 'new', { expectedSha256: sha256('other') })), 'data.bad');
      equal(await text(store, uri), 'old');
      equal((await store.list('artifact://files/')).items.length, 1);
    });
    it('reads a range, both ends included', async () => {
      const store = await open();
      await store.put('artifact://files/file-1/a', '0123456789');
      const part = await store.get('artifact://files/file-1/a', { start: 2, end: 4 });
      equal(Buffer.concat(await part.toArray()).toString(), '234');
      const rest = await store.get('artifact://files/file-1/a', { start: 8 });
      equal(Buffer.concat(await rest.toArray()).toString(), '89');
    });
    it('answers storage.not-found, and no stat, for what is not there', async () => {
      const store = await open();
      equal(await codeOf(store.get('artifact://files/file-1/a')), 'storage.not-found');
      equal(await store.stat('artifact://files/file-1/a'), undefined);
      equal(await store.list('artifact://files/'), { items: [] });
    });
    it('refuses every URI that could leave its folder', async () => {
      const store = await open();
      const hostile = ['/etc/passwd', 'artifact://files', 'artifact://files/../x', 'artifact://files/a/../../b'];
      hostile.push(
        'artifact://files//a',
        'artifact://files/a/.hidden',
        'artifact://files/a\\b/c',
        'artifact://a/b/c\0d',
      );
      hostile.push('file:///etc/passwd', `artifact://a/b/${'x'.repeat(2_000)}`, 'artifact://a/b/%2e%2e/c');
      for (const uri of hostile) {
        equal(await codeOf(store.put(uri, 'x')), 'request.invalid');
        equal(await codeOf(store.get(uri)), 'request.invalid');
      }
    });
    it('lists a prefix by whole parts, in order, page by page without gap or double', async () => {
      const store = await open();
      const names = ['a/1', 'a/2', 'a/b/1', 'a-b', 'a.c', 'b'].map((path) => `artifact://runs/run-1/${path}`);
      for (const uri of names) await store.put(uri, uri);
      await store.put('artifact://runs/run-10/x', 'other');
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.list('artifact://runs/run-1', { limit: 2, ...(after !== undefined && { after }) });
        seen.push(...page.items.map(({ uri }) => uri));
        after = page.next;
      } while (after !== undefined);
      equal(seen, [...names].sort());
    });
    it('removes everything below a prefix and nothing beside it', async () => {
      const store = await open();
      for (const path of ['run-1/a', 'run-1/b/c', 'run-10/a']) await store.put(`artifact://runs/${path}`, 'x');
      equal(await store.remove('artifact://runs/run-1'), 2);
      equal(await store.remove('artifact://runs/run-1'), 0);
      equal(
        (await store.list('artifact://runs')).items.map(({ uri }) => uri),
        ['artifact://runs/run-10/a'],
      );
    });
    it('serves two writers of one artifact: one of both contents, never a mixture', async () => {
      const store = await open();
      const contents = ['a'.repeat(100_000), 'b'.repeat(100_000)];
      await Promise.all(contents.map((content) => store.put('artifact://files/file-1/a', content)));
      equal(contents.includes(await text(store, 'artifact://files/file-1/a')), true);
    });
  });
}
