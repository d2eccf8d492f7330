import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import type * as TensorFlow from '@tensorflow/tfjs-core';

export type Tf = typeof TensorFlow;

/** Fastest first. The native ones are no dependency: their bindings come from a place of their own and may be missing. */
const TENSORFLOW_FLAVOURS = ['tfjs-node-gpu', 'tfjs-node', 'tfjs-wasm'] as const;
type TensorFlowFlavour = (typeof TENSORFLOW_FLAVOURS)[number];

export interface FlavourState {
  readonly name: TensorFlowFlavour;
  readonly usable: boolean;
  /** Why not. */
  readonly reason?: string;
}

/** Gives the module of a flavour, ready to compute; throws when it is not installed or not whole. */
export type FlavourLoader = (flavour: TensorFlowFlavour) => Promise<Tf>;

const require = createRequire(import.meta.url);

export const loadFlavour: FlavourLoader = async (flavour) => {
  if (flavour === 'tfjs-wasm') return loadWasm();
  restoreNodeUtil();
  return (await import(`@tensorflow/${flavour}`)) as Tf;
};

/** tfjs-node 4.22.0 calls functions that Node 23 took away, as in tensorflow/tfjs pull request 8425. */
function restoreNodeUtil(): void {
  const util = require('node:util') as { isNullOrUndefined?: unknown; isArray?: unknown };
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}

async function loadWasm(): Promise<Tf> {
  const tf = require('@tensorflow/tfjs-core') as Tf;
  const wasm = require('@tensorflow/tfjs-backend-wasm') as { setWasmPaths: (prefix: string) => void };
  wasm.setWasmPaths(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')) + sep);
  if (!(await tf.setBackend('wasm'))) throw new Error('the wasm backend did not start');
  return tf;
}

/** Whether it computes: a binding may load and still lack what an operation calls. */
function tryOut(tf: Tf): void {
  const product = tf.tidy(() => tf.matMul(tf.tensor2d([2], [1, 1]), tf.tensor2d([3], [1, 1])).dataSync());
  if (product[0] !== 6) throw new Error(`2 * 3 gave ${product[0]}`);
}

const said = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0] ?? '';

/** All flavours, each tried out. */
export async function tensorFlowFlavours(load: FlavourLoader = loadFlavour): Promise<FlavourState[]> {
  const states: FlavourState[] = [];
  for (const name of TENSORFLOW_FLAVOURS) {
    try {
      tryOut(await load(name));
      states.push({ name, usable: true });
    } catch (thrown) {
      states.push({ name, usable: false, reason: said(thrown) });
    }
  }
  return states;
}

export interface LoadedFlavour {
  readonly name: TensorFlowFlavour;
  readonly tf: Tf;
}

/** The fastest flavour that computes. @throws Error with the reason of each when there is none. */
export async function fastestFlavour(load: FlavourLoader = loadFlavour): Promise<LoadedFlavour> {
  const reasons: string[] = [];
  for (const name of TENSORFLOW_FLAVOURS) {
    try {
      const tf = await load(name);
      tryOut(tf);
      return { name, tf };
    } catch (thrown) {
      reasons.push(`${name}: ${said(thrown)}`);
    }
  }
  throw new Error(`No TensorFlow.js can be used. ${reasons.join('; ')}`);
}
