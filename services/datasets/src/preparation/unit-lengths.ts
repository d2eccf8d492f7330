import type { EncodedRow, EncodedUnit } from './encode-row.js';

/** The longest of what is stored, as memory is planned by it. */
export class UnitLengths {
  private row = 0;
  private unit = 0;
  private prompt = 0;
  private ratedAnswer = 0;

  add(unit: EncodedUnit): void {
    for (const one of unit) this.addRow(one);
    this.unit = Math.max(
      this.unit,
      unit.reduce((sum, { tokens }) => sum + tokens.length, 0),
    );
  }

  get longestRow(): number {
    return this.row;
  }

  /** KTO also gives a model the prompt of one row with the answer of another. */
  get longestPass(): number {
    return Math.max(this.unit, this.prompt + this.ratedAnswer);
  }

  private addRow({ tokens, promptLength, label }: EncodedRow): void {
    this.row = Math.max(this.row, tokens.length);
    if (label === undefined) return;
    this.prompt = Math.max(this.prompt, promptLength);
    this.ratedAnswer = Math.max(this.ratedAnswer, tokens.length - promptLength);
  }
}
