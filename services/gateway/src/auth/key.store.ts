/** Keys that open the installation, as hashes only. */
export abstract class KeyStore {
  abstract hashes(): Promise<string[]>;
  /** Adds the installation's key unless there is one. Returns whether it was added. */
  abstract addFirst(hash: string): Promise<boolean>;
}
