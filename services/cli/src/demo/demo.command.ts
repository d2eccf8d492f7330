import { readFile, writeFile } from 'node:fs/promises';
import type { Platform } from '@luthier/standalone';
import { Option } from 'commander';
import type { Command } from 'commander';
import { endSignal, unlessEnded, untilAborted } from '../end-signal.js';
import { loadStandalone } from '../load-standalone.js';
import { signInLine } from '../sign-in-line.js';
import { bundledDemoData, ownDemoData } from './demo-data.js';
import { demoReport } from './demo-report.js';
import type { DemoReport } from './demo-report.js';
import { runDemo } from './demo.js';
import { Stages, formatSeconds } from './stages.js';

interface DemoOptions {
  once?: boolean;
  json?: string;
  data?: string;
  model: string;
  language: 'en' | 'zh';
  seed: number;
  home?: string;
  port?: number;
}

/** `luthier demo`: the platform, and the main job on it. */
export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('start the platform and run the main job: examples in, a proven tuned model out')
    .option('--once', 'end when the job is done instead of keeping the platform up')
    .option('--json <file>', 'write the report to this file')
    .option('--data <file>', 'your own rows (JSONL) instead of the demo company')
    .option('--model <name>', 'base model from the catalogue', 'smollm2-135m-instruct')
    .addOption(new Option('--language <language>', 'language of the demo rows').choices(['en', 'zh']).default('en'))
    .option('--seed <number>', 'seed of order and initialisation', Number, 7)
    .option('--home <folder>', 'where everything is kept (LUTHIER_HOME)')
    .option('--port <port>', 'port of dashboard and API (LUTHIER_PORT)', Number)
    .action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  const { startPlatform, watchPeakPss } = await loadStandalone();
  const stages = new Stages(process.stdout);
  const startedMs = performance.now();
  const memory = watchPeakPss();
  const signal = endSignal(() => stages.print('  ending… (again: at once)'));
  const data = await (options.data === undefined ? bundledDemoData(options.language) : ownDemoData(options.data));
  let platform: Platform | undefined;
  try {
    platform = await startPlatform({
      ...(options.home !== undefined && { home: options.home }),
      ...(options.port !== undefined && { port: options.port }),
      signal,
      say: (line) => stages.print(`    ${line}`),
      stage: (name, title, work) => stages.run(name, title, async () => ({ line: await work(), value: undefined })),
    });
    const work = runDemo({
      stages,
      data,
      url: platform.url,
      apiKey: (await readFile(platform.apiKeyFile, 'utf8')).trim(),
      model: options.model,
      seed: options.seed,
    });
    const done = await unlessEnded(signal, work);
    const report = demoReport.parse({
      ...done,
      peakPssMib: memory.peakMib() ?? null,
      timings: Object.fromEntries(stages.timings.map(({ name, seconds }) => [name, seconds])),
      totalSeconds: (performance.now() - startedMs) / 1_000,
    } satisfies DemoReport);
    stages.print(
      `  done in ${formatSeconds(report.totalSeconds)}${report.peakPssMib === null ? '' : `, at most ${Math.round(report.peakPssMib)} MiB of memory in all processes`}`,
    );
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
    if (options.once !== true) {
      const signIn = await signInLine(platform.apiKeyFile, process.stdout);
      stages.print(`\n  dashboard: ${platform.url}\n  ${signIn}\n  Ctrl-C ends it`);
      await untilAborted(signal);
    }
  } finally {
    memory.stop();
    await (platform?.stop() ?? Promise.resolve()).finally(() => data.dispose());
  }
}
