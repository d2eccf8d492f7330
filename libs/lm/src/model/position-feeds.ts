import type { ModelConfig } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';
import { kindInput, layerKind, layerKinds } from './layer-kinds.js';
import type { LayerKind } from './layer-kinds.js';
import { slidingMask } from './packed-batch.js';
import type { PackedBatch } from './packed-batch.js';
import { rotaryTable } from './rotary-table.js';
import type { RotaryTable } from './rotary-table.js';

type Feeds = Record<string, TensorData>;

/** What layers are fed about positions: rotary tables and masks of each kind of layer. */
export class PositionFeeds {
  private readonly tables = new Map<LayerKind, RotaryTable>();
  /** A mask is as large as the attention of a head: made once for each batch, and only where rows outgrow the window. */
  private readonly slidingMasks = new WeakMap<PackedBatch, Float32Array>();

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
    const { cosines, sines } = this.table(kind, batch.longestRow);
    return {
      positions: { data: batch.positions, dims: [1, count] },
      [nameOf('cosines')]: cosines,
      [nameOf('sines')]: sines,
      [nameOf('mask')]: { data: this.mask(kind, batch), dims: [count, count] },
    };
  }

  private mask(kind: LayerKind, batch: PackedBatch): Float32Array {
    const { slidingWindow } = this.config;
    if (kind === 'full' || slidingWindow === undefined || batch.longestRow <= slidingWindow) return batch.mask;
    const found = this.slidingMasks.get(batch) ?? slidingMask(batch, slidingWindow);
    this.slidingMasks.set(batch, found);
    return found;
  }

  private table(kind: LayerKind, longest: number): RotaryTable {
    const found = this.tables.get(kind);
    if (found && found.positions >= longest) return found;
    const made = rotaryTable(this.config, kind, longest);
    this.tables.set(kind, made);
    return made;
  }
}
