const BYTES_PER_MIB = 1024 * 1024;
/** One run may take at most this share of a machine; the rest is for the platform and whoever works on it. */
const RUN_SHARE = 0.75;

/** What one run may take of a machine that it shares with the platform, in MiB. */
export const localRunMemoryMib = (machineBytes: number): number =>
  Math.floor((machineBytes / BYTES_PER_MIB) * RUN_SHARE);
