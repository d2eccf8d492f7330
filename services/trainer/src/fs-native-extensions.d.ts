/** The package has no types of its own; only what is used here. */
declare module 'fs-native-extensions' {
  /** Exclusive lock of the open file description (Linux: OFD lock, macOS: flock). False when another holds it. */
  export function tryLock(fd: number): boolean;
  export function unlock(fd: number): void;
}
