import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { transformSync } from '@swc/core';

/**
 * Runs `main` of a module of the tests in a process of its own, from its sources, as jest has them: `node run-typescript.mjs
 * MODULE ARGUMENT…`. Plain JavaScript, as Node loads it.
 */
const require = createRequire(import.meta.url);
const OPTIONS = {
  jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
  module: { type: 'commonjs' },
};
require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), { ...OPTIONS, filename });
  module._compile(code, filename);
};

const [file, ...args] = process.argv.slice(2);
await require(file).main(args);
