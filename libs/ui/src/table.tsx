import type { ReactNode } from 'react';
import { cx } from './class-names';

export interface Column<Row> {
  key: string;
  title: string;
  /** The first column without one is the row's header. */
  cell: (row: Row) => ReactNode;
  align?: 'end';
  /** Left out on narrow screens. */
  wide?: boolean;
  className?: string;
}

export interface TableProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
}

/** A plain table; its first column heads the row. It scrolls by itself where it is wider than the page. */
export function Table<Row>({ label, columns, rows, rowKey }: TableProps<Row>) {
  const cellClass = (column: Column<Row>): string =>
    cx(
      'px-4 py-3 align-top sm:px-5',
      column.align === 'end' && 'text-right tabular-nums',
      column.wide === true && 'hidden md:table-cell',
      column.className,
    );
  return (
    <div className="overflow-x-auto">
      <table aria-label={label} className="w-full border-collapse text-left text-sm">
        <thead>
          <tr className="border-b border-line text-xs text-muted">
            {columns.map((column) => (
              <th key={column.key} scope="col" className={cx(cellClass(column), 'py-2 font-medium whitespace-nowrap')}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)} className="relative border-b border-line last:border-0 hover:bg-sunken/60">
              {columns.map((column, index) =>
                index === 0 ? (
                  <th key={column.key} scope="row" className={cx(cellClass(column), 'font-normal')}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={column.key} className={cellClass(column)}>
                    {column.cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
