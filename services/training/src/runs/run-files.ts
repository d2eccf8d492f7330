import { createHash } from 'node:crypto';
import { Transform, pipeline } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { Injectable } from '@nestjs/common';
import { ArtifactStore, artifactUri, readArtifact } from '@luthier/artifacts';
import { AppError, runRequest, runtimeEvent } from '@luthier/contracts';
import type { ArtifactRef, RunRequest, RuntimeEvent } from '@luthier/contracts';

const MAX_EVENTS_BYTES = 512 * 1024 * 1024;
const MAX_REQUEST_BYTES = 1024 * 1024;

/** Files of a run in the artifact store: the request that training writes, the events that the runner leaves. */
@Injectable()
export class RunFiles {
  constructor(private readonly artifacts: ArtifactStore) {}

  /** Immutable: when one is there already (a crash between file and row), that one is the request. */
  async writeRequest(runId: string, request: RunRequest): Promise<ArtifactRef & { request: RunRequest }> {
    const uri = artifactUri('runs', runId, 'request.json');
    if (await this.artifacts.stat(uri)) {
      const text = await readArtifact(this.artifacts, uri, MAX_REQUEST_BYTES);
      return {
        uri,
        sha256: createHash('sha256').update(text).digest('hex'),
        request: runRequest.parse(JSON.parse(text.toString('utf8'))),
      };
    }
    const { sha256 } = await this.artifacts.put(uri, JSON.stringify(runRequest.parse(request)));
    return { uri, sha256, request };
  }

  /**
   * Lines of a stored events file (compressed JSON lines), in their order. Broken or unknown lines are left out, an
   * unfinished last line too; a file that is gone has none.
   */
  async *readEvents(uri: string): AsyncGenerator<RuntimeEvent> {
    if (!(await this.artifacts.stat(uri))) return;
    const text = limited(MAX_EVENTS_BYTES);
    // The callback form hands every fault of the three to the reader of the last one.
    pipeline(await this.artifacts.get(uri), createGunzip(), text, () => undefined);
    const decoder = new StringDecoder('utf8');
    let rest = '';
    for await (const chunk of text) {
      const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const event = parseLine(line);
        if (event) yield event;
      }
    }
  }
}

/** Ends with an error beyond `maxBytes`: a small compressed file can unfold into anything. */
function limited(maxBytes: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      seen += chunk.length;
      if (seen > maxBytes) callback(new AppError('request.too-large', 'The stored events file is too large'));
      else callback(null, chunk);
    },
  });
}

function parseLine(line: string): RuntimeEvent | undefined {
  try {
    const parsed = runtimeEvent.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
