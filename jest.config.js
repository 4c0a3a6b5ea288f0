/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.lifeboat/'],
  testSequencer: '<rootDir>/test/long-first.cjs',
  testTimeout: 30_000,
  // What a worker holds (700 MB, threads of block copies) takes the system 1.2 s to take down on two busy cores; at jest's own
  // 500 ms it is killed, with a warning of a leak. A real leak still gets it.
  workerGracefulExitTimeout: 10_000,
};
