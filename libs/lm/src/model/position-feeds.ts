import type { ModelConfig } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';
import { sectionFeeds, sectionInput, sectionMasks } from './attention-sections.js';
import { kindInput, layerKind, layerKinds } from './layer-kinds.js';
import type { LayerKind } from './layer-kinds.js';
import type { PackedBatch } from './packed-batch.js';
import { rotaryTable } from './rotary-table.js';
import type { RotaryTable } from './rotary-table.js';

type Feeds = Record<string, TensorData>;

/** What layers are fed about positions: rotary tables and masks of each kind of layer, and where tokens lie in rows. */
export class PositionFeeds {
  private readonly tables = new Map<LayerKind, RotaryTable>();
  /** Of the last batch, which its layers share. */
  private sections: { readonly batch: PackedBatch; readonly feeds: Feeds } | undefined;
  private readonly masks = new Map<LayerKind, { readonly length: number; readonly sections: readonly TensorData[] }>();

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
    // As many positions as tokens: the operation counts them before it looks at `positions`.
    const { cosines, sines } = this.table(kind, count);
    return {
      positions: { data: batch.positions, dims: [1, count] },
      [nameOf('cosines')]: cosines,
      [nameOf('sines')]: sines,
      ...Object.fromEntries(
        this.masksOf(kind, batch).map((mask, section) => [sectionInput(nameOf('mask'), section), mask]),
      ),
      ...this.sectionsOf(batch),
    };
  }

  private sectionsOf(batch: PackedBatch): Feeds {
    if (this.sections?.batch !== batch) this.sections = { batch, feeds: sectionFeeds(batch) };
    return this.sections.feeds;
  }

  private masksOf(kind: LayerKind, batch: PackedBatch): readonly TensorData[] {
    const found = this.masks.get(kind);
    if (found?.length === batch.longestRow) return found.sections;
    const { attentionHeads, keyValueHeads, slidingWindow } = this.config;
    const sections = sectionMasks(
      batch,
      attentionHeads / keyValueHeads,
      kind === 'sliding' ? slidingWindow : undefined,
    );
    this.masks.set(kind, { length: batch.longestRow, sections });
    return sections;
  }

  private table(kind: LayerKind, longest: number): RotaryTable {
    const found = this.tables.get(kind);
    if (found && found.positions >= longest) return found;
    const made = rotaryTable(this.config, kind, longest);
    this.tables.set(kind, made);
    return made;
  }
}
