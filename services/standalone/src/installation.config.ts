/** What children of this process get of its environment. */
export const childPath = (): string => process.env['PATH'] ?? '';
