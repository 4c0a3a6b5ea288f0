import { delimiter, dirname } from 'node:path';
import { endAs, runChild } from '../bin/child.mjs';
import {
  FETCHED_LINE,
  fetchedNode,
  fetchedNodeFolder,
  fetchedNodePackage,
  isSupported,
  oldestNode,
} from '../bin/supported-node.mjs';
import { SetupError, fetching, output, say } from './process.mjs';

/**
 * Makes sure of a supported Node: this one, or one from npm, kept in `.lifeboat/tools`, in which everything begins anew.
 * @returns promise of whether this process is the one to go on; it ends by itself where it is not
 */
export async function adoptNode() {
  if (isSupported()) return true;
  if (usable() === undefined)
    await fetching(
      `Node ${process.versions.node} is too old (${oldestNode()} or later is needed): fetching Node ${FETCHED_LINE} for this project alone`,
      'npm',
      [
        'install',
        ...['--prefix', fetchedNodeFolder, '--no-save', '--no-audit', '--no-fund'],
        `${fetchedNodePackage}@${FETCHED_LINE}`,
      ],
    );
  else say(`Node ${process.versions.node} is too old: going on with the project's own Node ${FETCHED_LINE}`);
  const node = usable();
  if (node === undefined)
    throw new SetupError(`the Node in ${fetchedNodeFolder} does not run here; delete it, and try again.`);
  const PATH = `${dirname(node)}${delimiter}${process.env.PATH}`;
  endAs(await runChild(node, process.argv.slice(1), { env: { ...process.env, PATH } }));
  return false;
}

/** The fetched Node, if it runs (a fetch may have been cut off) and is new enough. */
function usable() {
  const node = fetchedNode();
  const version = node && output(node, ['--version']);
  return version && isSupported(version) ? node : undefined;
}
