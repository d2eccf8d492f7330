export { SERVICES, defineEvent, defineRequest } from './define.js';
export type { EventDefinition, EventOf, RequestDefinition, RequestOf, ResponseOf, ServiceName } from './define.js';
export { AppError, ERRORS, ERROR_CODES, errorCode, errorReply } from './errors.js';
export type { ErrorCode, ErrorDetails, ErrorReply } from './errors.js';
export { ID_PREFIXES, idFor, idOf, idTail, newId } from './ids.js';
export type { IdKind } from './ids.js';
export {
  CONSUMERS,
  DEAD_STREAM,
  EVENT_STREAM,
  RUNS_BUCKET,
  RUN_STREAM,
  STREAMS,
  deadSubject,
  eventSubjects,
  jobChangedSubject,
  requestSubjects,
  runEventSubject,
} from './streams.js';
export type { ConsumerSpec, StreamSpec } from './streams.js';
export * from './priority.js';
export * from './run-spec.js';
export * from './run-features.js';
export * from './method-data.js';
export { SIMILARITY_METRICS, fieldsOfGrader, grader, graderFault } from './grader.js';
export type { Grader, GraderFault } from './grader.js';
export * from './cluster-events.js';
export * from './run-events.js';
export * from './exit-codes.js';
export { classifyEnd, codeOfStorageError, moreTelling, rankEnds } from './classify-outcome.js';
export type { Classification, RankEnds, RuntimeEnd } from './classify-outcome.js';
export * from './run-reasons.js';
export * from './run-state.js';
export * from './run-endpoint.js';
export * from './cluster.js';
export * from './doctor.js';
export * from './fit.js';
export * from './plan-notes.js';
export * from './plan.js';
export * from './prepared-dataset.js';
export * from './artifact-manifest.js';
export * from './paging.js';
export * from './services/datasets.js';
export * from './services/registry.js';
export * from './services/trainer.js';
export * from './services/inference.js';
export * from './services/evaluation.js';
export * from './services/training.js';
export { CALLS } from './callers.js';
export { EVENTS, REQUESTS } from './catalogue.js';
export * from './http/create-job.js';
export { httpGrader } from './http/grader.js';
export type { HttpGrader } from './http/grader.js';
export { PORTABLE_RANDOM_NAME, RandomStream, epochOrder, loraInitialValues, threefry2x32 } from './portable-random.js';
