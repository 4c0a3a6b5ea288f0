const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

/** A directory that all processes of one run of jest share, and no other run: what one has made of the present sources, others take. */
module.exports = async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-jest-'));
  process.env.LIFEBOAT_TEST_RUN = directory;
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
};
