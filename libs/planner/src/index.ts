export { advise } from './advise.js';
export type { Advice, AdviceInput, AdviceNote } from './advise.js';
export { diagnose } from './diagnose.js';
export type { DiagnosedJob, Diagnosis, Fault } from './diagnose.js';
export { estimateMemory, trainableParameters } from './memory.js';
export type { MemoryEstimate, MemoryQuestion } from './memory.js';
export { planRun, totalSteps } from './plan-run.js';
export type { PlanInput, PlanProfile } from './plan-run.js';
export { guessTokensPerSecond } from './speed.js';
