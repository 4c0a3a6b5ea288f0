/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/test/told-failures.cjs',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.lifeboat/'],
  globalSetup: '<rootDir>/test/run-directory.cjs',
  testSequencer: '<rootDir>/test/long-first.cjs',
  testTimeout: 30_000,
  // What a worker holds (700 MB, threads of block copies) takes the system 1.2 s to take down on two busy cores; at jest's own
  // 500 ms it is killed, with a warning of a leak. A real leak still gets it.
  workerGracefulExitTimeout: 10_000,
  // Every tool that a test starts costs in proportion to the memory of the process that starts it, whose page tables the system
  // copies: 7 ms of system time at 100 MB, 47 ms at 600 MB, and some files start hundreds. A process used on and on comes to 950 MB
  // after 18 files. A new one costs 0.3 s: there is one wherever a file has left more than what jest itself holds.
  workerIdleMemoryLimit: '100MB',
};
