/** `LUTHIER_TEST_REQUIRE=all`, as in continuous integration: what cannot run is a failure. */
export const requireAll = (): boolean => process.env['LUTHIER_TEST_REQUIRE'] === 'all';

/**
 * Whether `what` can run here. Where something is missing it is skipped with a word.
 * @throws Error instead, where everything is required.
 */
export function runsHere(what: string, missing: string | undefined): boolean {
  if (missing === undefined) return true;
  const reason = `${what}: they need ${missing}`;
  if (requireAll()) throw new Error(`this machine cannot run ${reason}`);
  console.warn(`SKIPPED: ${reason}`);
  return false;
}
