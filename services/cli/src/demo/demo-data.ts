import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Files of one demo run. */
export interface DemoData {
  training: string;
  heldOut: string | null;
  general: { rows: string; questions: string } | null;
  /** Questions answered side by side at the end. */
  questions: { system?: string; text: string }[];
  dispose(): Promise<void>;
}

const folder = fileURLToPath(new URL('../../demo-data/', import.meta.url));
/** Of a user's own rows, every tenth (at most this many) is kept from training, to measure with. */
const HELD_OUT_MAX = 50;
const HELD_OUT_EVERY = 10;

interface AskedRow {
  instruction: string;
  system?: string;
  suite?: string;
}

/** The invented company's rows that lie beside this program. */
export async function bundledDemoData(language: 'en' | 'zh'): Promise<DemoData> {
  const file = (name: string): string => join(folder, `${name}.${language}.jsonl`);
  const rows = await readRows(file('heldout'));
  const ofSuite = (suite: string): AskedRow[] => rows.filter((row) => row.suite === suite);
  const [generalQuestion] = await readRows(file('general-questions'));
  const picked = [...ofSuite('facts').slice(0, 1), ...ofSuite('refusals').slice(0, 1), generalQuestion].filter(
    (row) => row !== undefined,
  );
  return {
    training: file('support'),
    heldOut: file('heldout'),
    general: { rows: file('general'), questions: file('general-questions') },
    questions: picked.map(({ instruction, system }) => ({
      text: instruction,
      ...(system !== undefined && { system }),
    })),
    dispose: () => Promise.resolve(),
  };
}

/** The user's own file, split into rows to learn from and rows to measure with. */
export async function ownDemoData(path: string): Promise<DemoData> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  const isHeldOut = (i: number): boolean =>
    i % HELD_OUT_EVERY === HELD_OUT_EVERY - 1 && i < HELD_OUT_MAX * HELD_OUT_EVERY;
  const heldOut = lines.filter((_, i) => isHeldOut(i));
  const dir = await mkdtemp(join(tmpdir(), 'luthier-demo-'));
  const write = async (name: string, part: string[]): Promise<string> => {
    const file = join(dir, `${name}-${basename(path)}`);
    await writeFile(file, `${part.join('\n')}\n`);
    return file;
  };
  return {
    training: await write(
      'training',
      lines.filter((_, i) => !isHeldOut(i)),
    ),
    heldOut: heldOut.length > 0 ? await write('held-out', heldOut) : null,
    general: null,
    questions: heldOut.slice(0, 3).flatMap(questionOf),
    dispose: () => rm(dir, { recursive: true, force: true }),
  };
}

function questionOf(line: string): { system?: string; text: string }[] {
  try {
    const row = JSON.parse(line) as Partial<AskedRow> & {
      prompt?: string;
      messages?: { role: string; content: string }[];
    };
    const text = row.instruction ?? row.prompt ?? row.messages?.findLast((message) => message.role === 'user')?.content;
    return typeof text === 'string' ? [{ text, ...(row.system !== undefined && { system: row.system }) }] : [];
  } catch {
    return []; // the platform reports the row, with its line
  }
}

const readRows = async (path: string): Promise<AskedRow[]> =>
  (await readFile(path, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AskedRow);
