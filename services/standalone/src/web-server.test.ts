import { describe, expect, it } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@luthier/testing';
import { startWebServer, webIsBuilt } from './web-server.js';

const SERVER =
  "require('node:http').createServer((q, r) => r.end(JSON.stringify(process.env)))" +
  '.listen(Number(process.env.PORT), process.env.HOSTNAME);';

async function program(text: string): Promise<{ entry: string; logFile: string; port: number; path: string }> {
  const dir = await tempDir('web');
  const entry = join(dir, 'server.js');
  await writeFile(entry, text);
  return { entry, logFile: join(dir, 'web.log'), port: 0, path: '/usr/bin' };
}

describe('the dashboard server', () => {
  it('answers once it is started, knows nothing of our environment, and ends when told', async () => {
    const options = await program(SERVER);
    expect([webIsBuilt(options.entry), webIsBuilt(`${options.entry}.missing`)]).toEqual([true, false]);
    const server = await startWebServer(options);
    const environment = (await (await fetch(`http://127.0.0.1:${server.port}`)).json()) as Record<string, string>;
    expect(Object.keys(environment).sort()).toEqual([
      'HOSTNAME',
      'NEXT_TELEMETRY_DISABLED',
      'NODE_ENV',
      'PATH',
      'PORT',
    ]);
    await server.stop();
    await server.stop();
    await expect(fetch(`http://127.0.0.1:${server.port}`)).rejects.toThrow();
  });

  it('is begun again when it ends before it has answered, as when its port was taken meanwhile', async () => {
    const once = "const fs = require('node:fs'); const flag = __filename + '.begun';";
    const options = await program(
      `${once} if (!fs.existsSync(flag)) { fs.writeFileSync(flag, ''); process.exit(1); } ${SERVER}`,
    );
    const server = await startWebServer(options);
    expect((await fetch(`http://127.0.0.1:${server.port}`)).status).toBe(200);
    await server.stop();
  });

  it('that ends at once is reported with the place of its log', async () => {
    const options = await program("console.error('no pages'); process.exit(3);");
    await expect(startWebServer(options)).rejects.toThrow(options.logFile);
    expect(await readFile(options.logFile, 'utf8')).toContain('no pages');
  });
});
