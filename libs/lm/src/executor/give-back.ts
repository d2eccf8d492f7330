/**
 * Gives the memory of an array back at once, where collecting it could take until several like it lie in memory. The array
 * has to be the only view of its buffer, and is empty afterwards.
 */
export function giveBack({ buffer }: ArrayBufferView): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
