import { existsSync, fstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Thrown when the stop file was seen; the caller saves and leaves. */
export class StopRequested extends Error {
  override readonly name = 'StopRequested';
}

/** Throws StopRequested when `<outputDir>/stop` exists. Looked at after every micro-batch. */
export function throwIfStopped(outputDir: string): void {
  if (existsSync(join(outputDir, 'stop'))) throw new StopRequested('asked to stop');
}

/** Whether `<outputDir>/checkpoint-now` asks for a checkpoint now; the request is taken with the question. */
export function takeCheckpointRequest(outputDir: string): boolean {
  const request = join(outputDir, 'checkpoint-now');
  if (!existsSync(request)) return false;
  rmSync(request, { force: true });
  return true;
}

const STDIN = 0;

/**
 * Ends the process when whoever started it is gone: standard input is a pipe held by the parent, and ends with it.
 * A terminal or a file as standard input says nothing about a parent and is left alone.
 */
export function endWithParent(stdin: NodeJS.ReadStream, end: () => never): void {
  const kind = fstatSync(STDIN);
  if (!kind.isFIFO() && !kind.isSocket()) return;
  stdin.on('end', end).on('close', end).on('error', end).resume();
}
