// Which Node the project runs on, and where set-up keeps one of its own: for the command and for set-up alike. Syntax
// that Node 12 reads (Ubuntu 22.04's), so that an old Node gives a sentence and not a syntax error.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of the checkout, or of the installed package, with a slash at its end. */
export const projectFolder = fileURLToPath(new URL('..', import.meta.url));

/** The long-term-support line that set-up brings where Node is older than is supported. */
export const FETCHED_LINE = '24';
export const fetchedNodeFolder = `${projectFolder}.lifeboat/tools/node`;
/** The npm packages that hold nothing but Node are named by platform. */
export const fetchedNodePackage = `node-linux-${process.arch}`;
const binary = `${fetchedNodeFolder}/node_modules/${fetchedNodePackage}/bin/node`;

/** Oldest supported version, such as `22.15`: that of `engines` in package.json, which npm reads, too. */
export function oldestNode() {
  const { engines } = JSON.parse(readFileSync(`${projectFolder}package.json`, 'utf8'));
  const [, oldest] = /^>=(\d+\.\d+)(\.\d+)?$/.exec(engines.node);
  return oldest;
}

/** Whether a version such as `v20.1.0`, by default this process's, is supported. */
export function isSupported(version = process.version) {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number);
  const [oldestMajor, oldestMinor] = oldestNode().split('.').map(Number);
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/** Path of the Node that set-up has fetched, or undefined where there is none, or where it is this very process's. */
export function fetchedNode() {
  return existsSync(binary) && realpathSync(binary) !== process.execPath ? binary : undefined;
}

/** Whether this is a checkout, which set-up can complete, and not an installed package. */
export const isCheckout = () => existsSync(`${projectFolder}setup/run.mjs`);
