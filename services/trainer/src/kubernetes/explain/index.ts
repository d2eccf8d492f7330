export { explainApiError } from './api-error.js';
export type { ApiErrorContext, ViewedApiError } from './api-error.js';
export { endOfWait, endingOf, explainEnd } from './ending.js';
export { excerptOf } from './excerpt.js';
export { sentence } from './sentences.js';
export type { AttemptView, Ending, Explanation, KueueWorkload, ViewedNode, ViewedOutcome } from './view.js';
export { explainWaiting } from './waiting.js';
