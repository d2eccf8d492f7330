import type { RowIssue, ValidationReport } from '@luthier/contracts';
import { conversationOf, isFormatError, readTrainingRows, textsOf } from '@luthier/formats';
import type { FileRow, TrainingRow } from '@luthier/formats';
import { DuplicateRows } from './duplicate-rows.js';

const ISSUES_LISTED_MAX = 100;
const ITEM_FIELDS_MAX = 100;

class ReportBuilder {
  readonly report: ValidationReport;
  private readonly ratings = { desirable: 0, undesirable: 0 };

  constructor(
    fileId: string,
    private readonly duplicates: DuplicateRows,
  ) {
    this.report = {
      fileId,
      state: 'done',
      format: null,
      rowKind: null,
      rows: 0,
      usableRows: 0,
      errorCount: 0,
      warningCount: 0,
      issues: [],
      issueCounts: {},
      itemFields: [],
      characters: 0,
      finishedAt: null,
    };
  }

  add({ line, unit, row, issues }: FileRow): void {
    const { report } = this;
    report.rows += 1;
    for (const issue of issues) this.addIssue(issue);
    if (!row) return;
    report.usableRows += 1;
    if (row.kind === 'prompts') this.addItem(Object.keys(row.item));
    report.format ??= row.format;
    report.rowKind ??= row.kind;
    report.characters += charactersRead(row);
    if (row.kind === 'ratings') this.ratings[row.desirable ? 'desirable' : 'undesirable'] += 1;
    const first = this.duplicates.firstLineOf(textOf(row), line);
    if (first !== undefined) {
      this.addIssue({
        line,
        field: null,
        code: 'duplicate-row',
        severity: 'warning',
        message: `The row says the same as ${unit} ${first}.`,
        hint: 'Remove one of the two, unless the repetition is meant.',
      });
    }
  }

  /** Keeps the fields that all rows have. */
  private addItem(fields: readonly string[]): void {
    const { report } = this;
    report.itemFields =
      report.usableRows === 1
        ? fields.slice(0, ITEM_FIELDS_MAX)
        : report.itemFields.filter((name) => fields.includes(name));
  }

  addIssue(issue: RowIssue): void {
    const { report } = this;
    report.issueCounts[issue.code] = (report.issueCounts[issue.code] ?? 0) + 1;
    if (issue.severity === 'error') report.errorCount += 1;
    else report.warningCount += 1;
    if (report.issues.length < ISSUES_LISTED_MAX) report.issues.push(issue);
  }

  /** Listed first, whatever the number of issues of rows. */
  private addFileIssue(issue: RowIssue): void {
    this.report.issues.splice(ISSUES_LISTED_MAX - 1);
    this.addIssue(issue);
    this.report.issues.unshift(...this.report.issues.splice(-1));
  }

  private judgeRatings(): void {
    const { desirable, undesirable } = this.ratings;
    if (desirable + undesirable === 0 || (desirable > 0 && undesirable > 0)) return;
    this.addFileIssue({
      line: 0,
      field: null,
      code: 'one-sided-ratings',
      severity: 'warning',
      message: `All ${desirable + undesirable} answers are rated ${desirable > 0 ? 'good' : 'bad'}: there is nothing to compare them with.`,
      hint: 'Add answers that are rated the other way.',
    });
  }

  finish(): ValidationReport {
    const { report } = this;
    if (report.rows === 0 && report.errorCount === 0) {
      this.addIssue({
        line: 0,
        field: null,
        code: 'empty-file',
        severity: 'error',
        message: 'The file has no row.',
        hint: 'Upload a file with one JSON object on each line.',
      });
    }
    this.judgeRatings();
    const { notRemembered } = this.duplicates;
    if (notRemembered > 0) {
      this.addFileIssue({
        line: 0,
        field: null,
        code: 'duplicates-not-checked',
        severity: 'warning',
        message: `The file has more different rows than are remembered: repetitions of ${notRemembered} rows were not looked for.`,
        hint: 'Split the file to have all of its rows compared.',
      });
    }
    return { ...report, finishedAt: new Date().toISOString() };
  }
}

/** What makes a row the same as another. */
const textOf = (row: TrainingRow): string =>
  JSON.stringify(row.kind === 'prompts' ? [...textsOf(row), row.item] : textsOf(row));

/** Characters of what a model reads of a row: the prompt of a pair stands before either answer. */
function charactersRead(row: TrainingRow): number {
  const again =
    row.kind === 'pairs'
      ? conversationOf(row)
          .slice(0, -1)
          .map(({ content }) => content)
      : [];
  return [...textsOf(row), ...again].reduce((sum, text) => sum + text.length, 0);
}

/** Looks at every row of a file in one pass; memory does not grow with the file beyond the table of duplicates. */
export async function validateRows(
  fileId: string,
  content: AsyncIterable<Uint8Array>,
  duplicates = new DuplicateRows(),
): Promise<ValidationReport> {
  const builder = new ReportBuilder(fileId, duplicates);
  try {
    for await (const row of readTrainingRows(content)) builder.add(row);
  } catch (thrown) {
    if (!isFormatError(thrown)) throw thrown;
    builder.addIssue({
      line: 0,
      field: null,
      code: thrown.code === 'format.too-large' ? 'line-too-long' : 'not-json',
      severity: 'error',
      message: thrown.message,
      hint: 'Upload JSONL: one complete JSON object on each line.',
    });
  }
  return builder.finish();
}
