import type { TensorToWrite } from '../safetensors/write-safetensors.js';
import { growableInt32, growableInt64, growableUint8 } from './growable.js';
import type { PreparedRow, StoredKind } from './prepared-row.js';

/** Header and padding of a shard never take more. */
const HEADER_BYTES_MAX = 4096;
/** rowOffsets, sourceLine, promptLength, sourceFile, label. */
const BYTES_PER_ROW = 25;
/** tokens and trained. */
const BYTES_PER_TOKEN = 5;

/** The rows of the shard being filled, column by column. */
export class ShardBuffer {
  private readonly rowOffsets = growableInt64();
  private readonly sourceLine = growableInt64();
  private readonly tokens = growableInt32();
  private readonly promptLength = growableInt32();
  private readonly sourceFile = growableInt32();
  private readonly trained = growableUint8();
  private readonly label = growableUint8();
  trainedTokens = 0;
  private items: string[] = [];
  private itemBytes = 0;

  constructor(private readonly kind: StoredKind) {
    this.clear();
  }

  get rows(): number {
    return this.promptLength.size;
  }

  get tokenCount(): number {
    return this.tokens.size;
  }

  /** Size of the files if `rows` more rows with `tokens` tokens were added. */
  sizeBytesWith(rows: number, tokens: number): number {
    const bytes = (this.rows + rows + 1) * BYTES_PER_ROW + (this.tokenCount + tokens) * BYTES_PER_TOKEN;
    return HEADER_BYTES_MAX + bytes + this.itemBytes;
  }

  append(row: PreparedRow, trainedTokens: number): void {
    this.tokens.append(row.tokens);
    this.trained.append(row.trained);
    this.promptLength.append(Int32Array.of(row.promptLength));
    this.sourceFile.append(Int32Array.of(row.sourceFile));
    this.sourceLine.append(BigInt64Array.of(BigInt(row.sourceLine)));
    this.rowOffsets.append(BigInt64Array.of(BigInt(this.tokens.size)));
    if (this.kind === 'kto') this.label.append(Uint8Array.of(row.label ?? 0));
    this.trainedTokens += trainedTokens;
    if (this.kind !== 'prompts') return;
    const item = `${JSON.stringify(row.item ?? {})}\n`;
    this.items.push(item);
    this.itemBytes += Buffer.byteLength(item);
  }

  clear(): void {
    const columns = [this.rowOffsets, this.sourceLine, this.tokens, this.promptLength, this.sourceFile];
    for (const column of [...columns, this.trained, this.label]) column.clear();
    this.rowOffsets.append(BigInt64Array.of(0n));
    this.trainedTokens = 0;
    this.items = [];
    this.itemBytes = 0;
  }

  /** Of prompts: an object a line, in the order of the rows. */
  itemLines(): string {
    return this.items.join('');
  }

  tensors(): TensorToWrite[] {
    const { rows, tokenCount } = this;
    const result: TensorToWrite[] = [
      { name: 'rowOffsets', dtype: 'I64', shape: [rows + 1], data: this.rowOffsets.view() },
      { name: 'sourceLine', dtype: 'I64', shape: [rows], data: this.sourceLine.view() },
      { name: 'tokens', dtype: 'I32', shape: [tokenCount], data: this.tokens.view() },
      { name: 'promptLength', dtype: 'I32', shape: [rows], data: this.promptLength.view() },
      { name: 'sourceFile', dtype: 'I32', shape: [rows], data: this.sourceFile.view() },
      { name: 'trained', dtype: 'U8', shape: [tokenCount], data: this.trained.view() },
    ];
    if (this.kind === 'kto') result.push({ name: 'label', dtype: 'U8', shape: [rows], data: this.label.view() });
    return result;
  }
}
