/** @throws Error that names a value which neither it nor its group describes. */
export function chartReadme(values: string): string;
