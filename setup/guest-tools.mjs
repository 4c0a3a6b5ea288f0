import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { SetupError, fetching, output, say } from './process.mjs';

/**
 * The tools by which tests judge a guest's adapted network configuration, with libraries that nobody else brings. Unpacked and not
 * installed: as services on this host they would take its network. Which of them there are differs between releases.
 */
const PACKAGES = [
  'netplan.io',
  'netplan-generator', // where netplan.io has it in a package of its own
  'libnetplan0',
  'libnetplan1',
  'libyaml-0-2',
  'ifupdown',
  'network-manager', // nmcli --offline
  'libnm0',
  'libpolkit-agent-1-0',
  'libpolkit-gobject-1-0',
];

const directory = resolve('.lifeboat/tools/guest-network');
const stamp = resolve(directory, 'lifeboat-packages.txt');

/** Brings what is missing. What this host cannot have is not needed: tests that ask for it are skipped, and say so. */
export async function ensureGuestTools() {
  const wanted = `${PACKAGES.join('\n')}\n`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  try {
    let known = available();
    if (known.length === 0) {
      await fetching('updating package lists', 'apt-get', ['update', '-q']);
      known = available();
    }
    const options = { cwd: directory };
    await fetching(
      "fetching tools that judge guests' networks",
      'apt-get',
      ['download', '-q', ...known],
      options,
    );
    for (const name of readdirSync(directory).filter((one) => one.endsWith('.deb'))) {
      if (output('dpkg-deb', ['-x', resolve(directory, name), directory]) === undefined)
        throw new SetupError(`${name} cannot be unpacked.`);
      rmSync(resolve(directory, name));
    }
    writeFileSync(stamp, wanted);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`tests by tools of guests' networks are skipped: ${error.message}`);
  }
}

function available() {
  return PACKAGES.filter((name) => output('apt-cache', ['show', '--no-all-versions', name]));
}
