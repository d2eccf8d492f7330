/**
 * True where `met`. Else the test that needs it is skipped with a word; `LUTHIER_TEST_REQUIRE=all` makes that a failure,
 * so that a pipeline notices what it does not test.
 */
export function requirement(met: boolean, what: string): boolean {
  if (met) return true;
  if (process.env['LUTHIER_TEST_REQUIRE'] === 'all') throw new Error(`this machine cannot test: ${what}`);
  process.stderr.write(`SKIPPED: ${what}\n`);
  return false;
}
