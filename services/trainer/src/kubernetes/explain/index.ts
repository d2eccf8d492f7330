export { explainApiError } from './api-error.js';
export { endingOf, explainEnd } from './ending.js';
export type { Ending, Explanation, KueueWorkload, ViewedNode } from './view.js';
export { explainWaiting } from './waiting.js';
