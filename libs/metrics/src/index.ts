export { allFactsContained, exactMatch, factsContained } from './facts.js';
export { normaliseText, rougeTokens } from './normalise.js';
export { longestCommonSubsequence, rougeL } from './rouge.js';
export { perplexity, wilsonInterval } from './statistics.js';
export type { Interval } from './statistics.js';
