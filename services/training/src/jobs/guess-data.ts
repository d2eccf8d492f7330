import type { ValidationReport } from '@luthier/contracts';
import type { PlanInput } from '@luthier/planner';

const CHARACTERS_PER_TOKEN = 4;
const SHORTEST_ROW_TOKENS = 16;

/** What a file will be once it is prepared, as far as its validation lets guess. Pure. */
export function guessData(
  { usableRows, characters, rowKind }: Pick<ValidationReport, 'usableRows' | 'characters' | 'rowKind'>,
  cutoffLength: number,
): Pick<PlanInput, 'rows' | 'longestRowTokens' | 'tokensPerEpoch'> {
  const tokens = Math.ceil(characters / CHARACTERS_PER_TOKEN);
  const found = Math.max(1, usableRows);
  // Long texts are split into rows; a pair is read as two.
  const rows = rowKind === 'text' ? Math.max(found, Math.ceil(tokens / cutoffLength)) : found;
  const read = rowKind === 'pairs' ? 2 * rows : rows;
  return {
    rows,
    // Rows differ in length; twice the mean is a fair guess of the longest.
    longestRowTokens: Math.min(cutoffLength, Math.max(SHORTEST_ROW_TOKENS, Math.ceil((2 * tokens) / read))),
    tokensPerEpoch: tokens,
  };
}
