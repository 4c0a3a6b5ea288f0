#!/usr/bin/env node
// The `lifeboat` command. Plain JavaScript without dependencies up to the check of Node's version, so that an old
// Node gives a sentence and not a syntax error.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const WANTED = [22, 15];
const [major, minor] = process.versions.node.split('.').map(Number);
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

if (major < WANTED[0] || (major === WANTED[0] && minor < WANTED[1])) {
  console.error(`lifeboat: needs Node ${WANTED.join('.')} or later; this is ${process.versions.node}.`);
  process.exitCode = 2;
} else if (!existsSync(main)) {
  console.error('lifeboat: is not built yet; run "npm install" and "npm run build" in its folder.');
  process.exitCode = 2;
} else {
  process.setSourceMapsEnabled(true);
  createRequire(import.meta.url)(main);
}
