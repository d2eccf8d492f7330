import { hash } from 'node:crypto';

const FIRST_SLOTS = 1 << 12;
const FILL = 0.7;
/** 4 Mi slots of 12 bytes: 48 MiB, for 2.9 million different rows. */
const SLOTS_MAX = 1 << 22;

/** Finds rows that were seen before by 64-bit hashes, in bounded memory. */
export class DuplicateRows {
  private slots = FIRST_SLOTS;
  private table = new Uint32Array(FIRST_SLOTS * 3);
  private used = 0;
  /** Rows that were not remembered because the table was full. */
  notRemembered = 0;

  /** `slotsMax` is a power of two, at least 4096. */
  constructor(private readonly slotsMax = SLOTS_MAX) {}

  /** Line of the first row with this text, or undefined (and it is remembered). Lines count from 1. */
  firstLineOf(text: string, line: number): number | undefined {
    const digest = hash('sha1', text, 'buffer');
    const high = digest.readUInt32LE(0);
    const low = digest.readUInt32LE(4);
    if (this.used >= this.slots * FILL && this.slots < this.slotsMax) this.grow();
    const slot = this.find(high, low);
    const known = this.table[slot * 3 + 2];
    if (known !== undefined && known > 0) return known;
    if (this.used >= this.slots * FILL) this.notRemembered += 1;
    else this.put(slot, high, low, line);
    return undefined;
  }

  private find(high: number, low: number): number {
    const { table, slots } = this;
    for (let slot = low & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
      const at = slot * 3;
      if (table[at + 2] === 0 || (table[at] === high && table[at + 1] === low)) return slot;
    }
  }

  private put(slot: number, high: number, low: number, line: number): void {
    this.table.set([high, low, line], slot * 3);
    this.used += 1;
  }

  private grow(): void {
    const old = this.table;
    this.slots *= 2;
    this.table = new Uint32Array(this.slots * 3);
    this.used = 0;
    for (let at = 0; at < old.length; at += 3) {
      const [high = 0, low = 0, line = 0] = [old[at], old[at + 1], old[at + 2]];
      if (line > 0) this.put(this.find(high, low), high, low, line);
    }
  }
}
