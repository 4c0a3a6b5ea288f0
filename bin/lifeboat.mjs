#!/usr/bin/env node
// The `lifeboat` command. Plain JavaScript without dependencies up to the check of Node's version, in syntax that Node
// 12 reads, so that an old Node goes on in the one that set-up has fetched, or gives a sentence and not a syntax error.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endAs, runChild } from './child.mjs';
import { fetchedNode, isCheckout, isSupported, oldestNode, projectFolder } from './supported-node.mjs';

const main = `${projectFolder}dist/cli/main.js`;

const setUp = () => `run "node setup/run.mjs only" in ${projectFolder}`;

function fail(sentence) {
  console.error(`lifeboat: ${sentence}.`);
  process.exitCode = 2;
}

function failForNode() {
  const brought = isCheckout() ? `, or ${setUp()}, which brings one for the project alone` : '';
  fail(
    `needs Node ${oldestNode()} or later, and this is ${process.versions.node}: install a newer one${brought}`,
  );
}

/** Goes on in another Node, which what the command starts finds first, too. */
function goOnIn(node) {
  const script = fileURLToPath(import.meta.url);
  const PATH = [dirname(node)].concat(process.env.PATH || []).join(delimiter);
  const env = { ...process.env, PATH };
  runChild(node, process.execArgv.concat(script, process.argv.slice(2)), { env }).then(endAs, (error) =>
    fail(`the Node that set-up fetched cannot be started (${error.message}): ${setUp()}`),
  );
}

/** What is missing where the command cannot even be loaded. */
function failToLoad(error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error;
  const [what] = error.message.split('\n');
  fail(
    isCheckout()
      ? `is not set up as a whole (${what}): ${setUp()}`
      : `is not installed as a whole (${what}): install the package again`,
  );
}

if (!isSupported()) {
  const node = fetchedNode();
  if (node === undefined) failForNode();
  else goOnIn(node);
} else if (isCheckout() && !existsSync(main)) {
  fail(`is not set up yet: ${setUp()}`);
} else {
  process.setSourceMapsEnabled(true);
  try {
    createRequire(import.meta.url)(main);
  } catch (error) {
    failToLoad(error);
  }
}
