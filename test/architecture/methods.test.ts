import { expect, it } from '@jest/globals';
import { ROW_KINDS, methodsForRows } from '@luthier/contracts';
import { filesIn } from './sources.js';

/** Read as text: the dashboard imports no contracts, and is not compiled with them. */
it('the dashboard offers for the rows of a file the methods that the platform takes', () => {
  const [source] = filesIn('web/src/features/new-job', /^job-methods\.ts$/);
  for (const rows of ROW_KINDS) {
    const methods = methodsForRows(rows).map((method) => `'${method}'`);
    expect(source?.text).toContain(`  ${rows}: [${methods.join(', ')}],\n`);
  }
});
