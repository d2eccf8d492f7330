import { AppError, fieldsOfGrader, givesPoints, methodsForRows, rowsOfMethod } from '@luthier/contracts';
import type { JobRequest, RowKind, ValidationReport } from '@luthier/contracts';

type Wish = Pick<JobRequest, 'method' | 'trainingFile' | 'validationFile' | 'generalFile' | 'mix'>;

export interface NamedFile {
  /** The field in its public spelling. */
  readonly param: string;
  readonly fileId: string;
}

const ROW_NAMES: Readonly<Record<RowKind, string>> = {
  examples: 'examples (a question and its answer)',
  pairs: 'pairs of a chosen and a rejected answer',
  ratings: 'answers rated as good or bad',
  text: 'plain text',
  prompts: 'prompts with fields to judge answers by',
};

/** Every file that a job names. */
export function namedFiles({ trainingFile, validationFile, generalFile, mix }: Wish): NamedFile[] {
  const files = [
    { param: 'training_file', fileId: trainingFile },
    { param: 'validation_file', fileId: validationFile },
    { param: 'general_file', fileId: generalFile },
    { param: 'mix.file_id', fileId: mix?.fileId },
  ];
  return files.flatMap(({ param, fileId }) => (fileId == null ? [] : [{ param, fileId }]));
}

/**
 * What rows a file must hold for the job: those that its method learns from. General questions are asked, not learnt:
 * whatever asks something will do. A file that is not validated yet is not refused.
 * @throws AppError `file.wrong-rows`; `request.invalid` for questions to a model that gives no answers, and for a grader
 * that looks at fields which rows do not have.
 */
export function refuseWrongRows({ method }: Pick<Wish, 'method'>, file: NamedFile, report: ValidationReport): void {
  const { state, rowKind } = report;
  const { param, fileId } = file;
  if (param === 'general_file' && givesPoints(method.type)) {
    throw new AppError('request.invalid', `${param}: a reward model gives points and cannot be asked questions`, {
      param,
      hint: `Leave ${param} out.`,
    });
  }
  if (state !== 'done' || rowKind === null) return;
  const wanted = rowsOfMethod(method.type);
  if (param === 'general_file') {
    if (rowKind !== 'text' && rowKind !== 'prompts') return;
    const why = rowKind === 'text' ? 'which asks nothing' : 'which name no answer to compare with';
    throw new AppError('file.wrong-rows', `${param}: ${fileId} holds ${ROW_NAMES[rowKind]}, ${why}`, {
      param,
      hint: 'Name a file of questions and answers.',
    });
  }
  if (rowKind === wanted) return refuseMissingFields(method, file, report);
  const message = `${param}: ${fileId} holds ${ROW_NAMES[rowKind]}; "${method.type}" learns from ${ROW_NAMES[wanted]}`;
  const others = methodsForRows(rowKind).map((name) => `"${name}"`);
  throw new AppError('file.wrong-rows', message, {
    param,
    hint: `Set method.type to ${others.join(' or ')}, or name a file of ${ROW_NAMES[wanted]}.`,
  });
}

function refuseMissingFields(method: Wish['method'], { fileId }: NamedFile, { itemFields }: ValidationReport): void {
  if (method.type !== 'grpo') return;
  const missing = fieldsOfGrader(method.grader).find((field) => !itemFields.includes(field));
  if (missing === undefined) return;
  const param = 'method.grpo.grader';
  throw new AppError('request.invalid', `${param}: not every row of ${fileId} has the field "${missing}"`, {
    param,
    hint: `Rows have ${itemFields.map((field) => `{{item.${field}}}`).join(', ') || 'no field in common'}.`,
  });
}
