import { readModelConfig } from '@luthier/formats';
import { openEngine } from './open-engine.js';
import type { OpenEngineOptions } from './open-engine.js';

export interface GreedyOptions extends OpenEngineOptions {
  readonly promptTokens: readonly number[];
  readonly maxNewTokens: number;
}

/**
 * Continues a prompt greedily, up to and including an end token. The whole prefix is computed for every token: a
 * reference to check other engines by, not for serving.
 */
export async function greedyTokens({ promptTokens, maxNewTokens, ...open }: GreedyOptions): Promise<number[]> {
  const { eosTokenIds } = await readModelConfig(open.modelDir);
  const engine = await openEngine(open);
  const produced: number[] = [];
  while (produced.length < maxNewTokens) {
    const token = await engine.nextToken([...promptTokens, ...produced], open.adapterDir !== undefined);
    produced.push(token);
    if (eosTokenIds.includes(token)) break;
  }
  await engine.release();
  return produced;
}
