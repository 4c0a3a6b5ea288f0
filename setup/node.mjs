import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, resolve } from 'node:path';
import { fetching, say } from './process.mjs';

/** zlib has zstd, which the backup repository needs, from Node 22.15. */
const OLDEST = [22, 15];
/** The long-term-support line that is brought where Node is older. */
const BROUGHT = '24';

const directory = resolve('.lifeboat/tools/node');
const binary = resolve(directory, `node_modules/node-linux-${process.arch}/bin/node`);

/** Goes on in a supported Node: this one, or one from npm, kept in `.lifeboat/tools`. */
export async function adoptNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  if (!existsSync(binary))
    await fetching(
      `Node ${process.versions.node} is too old (${OLDEST.join('.')} or later is needed): fetching Node ${BROUGHT}`,
      'npm',
      [
        'install',
        '--prefix',
        directory,
        '--no-save',
        '--no-audit',
        '--no-fund',
        `node-linux-${process.arch}@${BROUGHT}`,
      ],
    );
  else say(`using Node ${BROUGHT} of ${directory}`);
  const PATH = `${dirname(binary)}${delimiter}${process.env.PATH}`;
  const { status } = spawnSync(binary, process.argv.slice(1), {
    stdio: 'inherit',
    env: { ...process.env, PATH },
  });
  process.exit(status ?? 1);
}
