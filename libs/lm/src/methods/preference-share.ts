import { dpoLoss } from './dpo-loss.js';
import type { DpoSettings } from './dpo-loss.js';
import { ktoDivergence, ktoLoss } from './kto-loss.js';
import type { KtoSettings } from './kto-loss.js';
import { orpoOddsLoss } from './orpo-loss.js';
import type { OrpoSettings } from './orpo-loss.js';
import { simpoLoss } from './simpo-loss.js';
import type { SimpoSettings } from './simpo-loss.js';
import type { Pair, PairLoss } from './slope.js';

export type PreferenceSettings = DpoSettings | OrpoSettings | SimpoSettings | KtoSettings;

/** A row of those that are compared: chosen and rejected ones take turns, or of KTO one after the other. */
export interface ComparedRow {
  readonly trainedCount: number;
  /** Whether it is an answer to learn. */
  readonly wanted: boolean;
}

/** What the sums over a global batch are divided by. */
export interface PreferenceTotals {
  /** Pairs, or rows of KTO. */
  readonly units: number;
  /** Answers to learn: one of each pair, and the desirable rows of KTO. */
  readonly wanted: number;
  readonly wantedTokens: number;
}

export function preferenceTotals(rows: readonly ComparedRow[], rowsPerUnit: number): PreferenceTotals {
  const wanted = rows.filter((row) => row.wanted);
  return {
    units: rows.length / rowsPerUnit,
    wanted: wanted.length,
    wantedTokens: wanted.reduce((sum, row) => sum + row.trainedCount, 0),
  };
}

/** Log-probabilities of the rows of a micro-batch; `reference` of DPO and KTO alone. */
export interface Likelihoods {
  readonly policy: Float64Array;
  readonly reference: Float64Array;
  /** Log-ratios of policy to reference over the whole global batch, of KTO alone. */
  readonly mismatched: Float64Array;
}

/** What a micro-batch adds to the loss and the metrics of its global batch: shares add up. */
export interface PreferenceShare {
  readonly loss: number;
  /** Of the loss by the log-probability of each row. */
  readonly slopes: Float64Array;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Rewards are what the method compares: the scaled log-ratio to the reference (DPO, KTO), or the scaled mean
 * log-probability of a token (ORPO, SimPO).
 */
export function preferenceShare(
  settings: PreferenceSettings,
  rows: readonly ComparedRow[],
  found: Likelihoods,
  totals: PreferenceTotals,
): PreferenceShare {
  if (settings.type === 'kto') return ktoShare(settings, rows, found, totals);
  const slopes = new Float64Array(rows.length);
  let [loss, margins, gained] = [0, 0, 0];
  for (let i = 0; i < rows.length; i += 2) {
    const pairOf = (of: (row: number) => number): Pair => ({ chosen: of(i), rejected: of(i + 1) });
    const policy = pairOf((row) => found.policy[row] ?? 0);
    const reference = pairOf((row) => found.reference[row] ?? 0);
    const lengths = pairOf((row) => rows[row]?.trainedCount ?? 1);
    const pair = pairLoss(settings, policy, reference, lengths, totals);
    loss += pair.loss;
    [slopes[i], slopes[i + 1]] = [pair.chosen, pair.rejected];
    const gain = (side: keyof Pair): number =>
      settings.type === 'dpo' ? policy[side] - reference[side] : policy[side] / lengths[side];
    const margin = settings.beta * (gain('chosen') - gain('rejected'));
    margins += margin;
    gained += margin > 0 ? 1 : 0;
  }
  return { loss, slopes, metrics: { rewardAccuracy: gained / totals.units, rewardMargin: margins / totals.units } };
}

/** A pair's part of the mean over the pairs of its global batch. */
function pairLoss(
  settings: Exclude<PreferenceSettings, KtoSettings>,
  policy: Pair,
  reference: Pair,
  lengths: Pair,
  { units, wantedTokens }: PreferenceTotals,
): PairLoss {
  const mean = ({ loss, chosen, rejected }: PairLoss): PairLoss => ({
    loss: loss / units,
    chosen: chosen / units,
    rejected: rejected / units,
  });
  switch (settings.type) {
    case 'dpo':
      return mean(dpoLoss(settings, policy, reference));
    case 'simpo':
      return mean(simpoLoss(settings, policy, lengths));
    case 'orpo': {
      const { loss, chosen, rejected } = mean(orpoOddsLoss(settings, policy, lengths));
      return { loss: loss - policy.chosen / wantedTokens, chosen: chosen - 1 / wantedTokens, rejected };
    }
  }
}

function ktoShare(
  settings: KtoSettings,
  rows: readonly ComparedRow[],
  { policy, reference, mismatched }: Likelihoods,
  { units, wanted }: PreferenceTotals,
): PreferenceShare {
  const divergence = ktoDivergence(mismatched);
  const slopes = new Float64Array(rows.length);
  const unwanted = units - wanted;
  let [loss, margin] = [0, 0];
  rows.forEach((row, i) => {
    const [own, before] = [policy[i] ?? 0, reference[i] ?? 0];
    const found = ktoLoss(settings, own, before, row.wanted, divergence);
    loss += found.loss / units;
    slopes[i] = found.slope / units;
    margin += (settings.beta * (own - before)) / (row.wanted ? wanted : -unwanted);
  });
  // With rows of one kind alone there is nothing to compare with.
  return { loss, slopes, metrics: wanted === 0 || unwanted === 0 ? {} : { rewardMargin: margin } };
}
