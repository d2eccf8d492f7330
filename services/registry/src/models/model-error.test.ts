import { expect, it } from '@jest/globals';
import { AppError } from '@luthier/contracts';
import { FormatError } from '@luthier/formats';
import { modelError } from './model-error.js';

it('says of a full disk that it is full, of a file that cannot be read which one, and keeps what is known already', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  expect(modelError(full)).toMatchObject({ code: 'disk.full', cause: full });
  expect(modelError(new FormatError('format.missing', 'no "x"'))).toMatchObject({
    code: 'model.unreadable',
    message: 'no "x"',
  });
  const known = new AppError('storage.unreachable');
  expect(modelError(known)).toBe(known);
  expect(modelError(new Error('other')).code).toBe('internal');
});
