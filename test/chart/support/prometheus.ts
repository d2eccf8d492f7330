import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { steadyPort, waitFor } from '@luthier/testing';
import { ALERT_RULES, RECORDING_RULES, programs } from './promtool.js';

const STOP_TIMEOUT_MS = 90_000;

/** One way of being scraped, as a PodMonitor or ServiceMonitor sets it up. */
export interface ScrapeJob {
  name: string;
  /** @default /metrics */
  path?: string;
  /** Whether labels of what is scraped win over the target's. */
  honorLabels: boolean;
  targets: readonly { address: string; labels?: Readonly<Record<string, string>> }[];
}

/** A series with its samples: [seconds since 1970, value]. */
export interface Series {
  metric: Readonly<Record<string, string>>;
  values: readonly (readonly [number, string])[];
}

interface Answer {
  status: string;
  error?: string;
  data?: unknown;
}

/** A real Prometheus with the chart's rules, which looks at everything once a second. */
export class Prometheus {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(dir: string, jobs: readonly ScrapeJob[]): Promise<Prometheus> {
    const port = await steadyPort();
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [RECORDING_RULES, ALERT_RULES],
      scrape_configs: jobs.map(({ name, path = '/metrics', honorLabels, targets }) => ({
        ...{ job_name: name, metrics_path: path, honor_labels: honorLabels },
        static_configs: targets.map(({ address, labels = {} }) => ({ targets: [address], labels })),
      })),
    };
    await writeFile(join(dir, 'prometheus.yml'), stringify(config));
    const args = [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const child = spawn(join(await programs(), 'prometheus'), args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-8_000)));
    const url = `http://127.0.0.1:${port}`;
    await waitFor(async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus did not start:\n${said}`);
      return (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok === true;
    });
    return new Prometheus(child, url);
  }

  /** Samples of an expression, one a second. @throws Error when it is none. */
  async range(expr: string, fromMs: number, toMs: number): Promise<Series[]> {
    const query = { query: expr, start: String(fromMs / 1_000), end: String(toMs / 1_000), step: '1' };
    return ((await this.ask('query_range', query)) as { result: Series[] }).result;
  }

  /** Series of an expression now. @throws Error when it is none. */
  async now(expr: string): Promise<Readonly<Record<string, string>>[]> {
    const { result } = (await this.ask('query', { query: expr })) as { result: Series[] };
    return result.map(({ metric }) => metric);
  }

  /** Rules that could not be evaluated, with what was said of them. */
  async faultyRules(): Promise<string[]> {
    const { groups } = (await this.ask('rules', {})) as {
      groups: { rules: { name: string; health: string; lastError?: string }[] }[];
    };
    return groups
      .flatMap(({ rules }) => rules)
      .filter(({ health }) => health !== 'ok')
      .map(({ name, health, lastError }) => `${name}: ${lastError ?? health}`);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await once(this.child, 'exit');
    clearTimeout(timer);
  }

  private async ask(what: string, query: Record<string, string>): Promise<unknown> {
    const answer = await fetch(`${this.url}/api/v1/${what}?${new URLSearchParams(query).toString()}`, {
      signal: AbortSignal.timeout(60_000),
    });
    const { status, error, data } = (await answer.json()) as Answer;
    if (status !== 'success') throw new Error(`${query['query'] ?? what}: ${error}`);
    return data;
  }
}
