/**
 * One configuration for every tier; scripts/test.mjs chooses the files of a tier.
 * Libraries are read from their sources (exports condition "@luthier/source"), so no build is needed for unit tests.
 */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2023',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          keepClassNames: true,
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
        swcrc: false,
      },
    ],
  },
  setupFiles: ['<rootDir>/test/native-arrays.cjs'],
  testEnvironmentOptions: { customExportConditions: ['@luthier/source', 'node', 'node-addons'] },
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '/.next/'],
  modulePathIgnorePatterns: ['/dist/', '/.next/'],
  testSequencer: '<rootDir>/scripts/longest-first.mjs',
  // Only what hangs is ended: how long a test takes says how busy the machine is.
  testTimeout: 300_000,
};
