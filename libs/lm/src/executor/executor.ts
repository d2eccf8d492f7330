import type { Node } from '../graph/node.js';

/** Data of one tensor; shared with the executor, never copied on the way in. */
export interface TensorData {
  readonly data: Float32Array | BigInt64Array | Int8Array;
  readonly dims: readonly number[];
}

/** A graph made ready to run. */
export interface Program {
  /** Runs the graph. `results` gives outputs a place; outputs not named there are allocated. May block the event loop. */
  run(
    feeds: Readonly<Record<string, TensorData>>,
    results?: Readonly<Record<string, TensorData>>,
  ): Promise<Map<string, TensorData>>;
  release(): Promise<void>;
}

/** What computes graphs. All executors give the same numbers up to rounding. */
export interface Executor {
  readonly name: string;
  load(outputs: Readonly<Record<string, Node>>): Promise<Program>;
}
