import type { ModelConfig } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';
import { causalMask } from './attention-mask.js';
import { kindInput, layerKind, layerKinds } from './layer-kinds.js';
import type { LayerKind } from './layer-kinds.js';
import type { PackedBatch } from './packed-batch.js';
import { rotaryTable } from './rotary-table.js';
import type { RotaryTable } from './rotary-table.js';

type Feeds = Record<string, TensorData>;

/** What layers are fed about positions: rotary tables and masks of each kind of layer, and where tokens lie in rows. */
export class PositionFeeds {
  private readonly tables = new Map<LayerKind, RotaryTable>();
  /** The last mask of each kind, which the layers of a batch share. */
  private readonly masks = new Map<LayerKind, TensorData>();

  constructor(private readonly config: ModelConfig) {}

  /** Of one layer in a graph of its own. */
  layer(layer: number, batch: PackedBatch): Feeds {
    return this.ofKind(layerKind(this.config, layer), batch, (name) => name);
  }

  /** Of all layers, in a graph of all. */
  whole(batch: PackedBatch): Feeds {
    const parts = layerKinds(this.config).map((kind) =>
      this.ofKind(kind, batch, (name) => kindInput(this.config, kind, name)),
    );
    return Object.assign({}, ...parts) as Feeds;
  }

  private ofKind(kind: LayerKind, batch: PackedBatch, nameOf: (name: 'mask' | 'cosines' | 'sines') => string): Feeds {
    const count = batch.tokens.length;
    const grid = [batch.rows, batch.longestRow];
    // As many positions as tokens: the operation counts them before it looks at `positions`.
    const { cosines, sines } = this.table(kind, count);
    return {
      positions: { data: batch.positions, dims: [1, count] },
      [nameOf('cosines')]: cosines,
      [nameOf('sines')]: sines,
      [nameOf('mask')]: this.mask(kind, batch.longestRow),
      places: { data: batch.places, dims: [count] },
      grid: { data: new Float32Array(batch.rows * batch.longestRow), dims: grid },
    };
  }

  private mask(kind: LayerKind, length: number): TensorData {
    const found = this.masks.get(kind);
    if (found?.dims[0] === length) return found;
    const window = kind === 'sliding' ? this.config.slidingWindow : undefined;
    const made = { data: causalMask(length, window), dims: [length, length] };
    this.masks.set(kind, made);
    return made;
  }

  private table(kind: LayerKind, longest: number): RotaryTable {
    const found = this.tables.get(kind);
    if (found && found.positions >= longest) return found;
    const made = rotaryTable(this.config, kind, longest);
    this.tables.set(kind, made);
    return made;
  }
}
