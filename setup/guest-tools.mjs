import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fetchDebs, offered, unpackDeb } from './apt.mjs';
import { SetupError, say } from './process.mjs';

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
    const known = await offered(PACKAGES);
    if (known.length === 0) throw new SetupError('APT has none of their packages.');
    for (const deb of await fetchDebs("fetching tools that judge guests' networks", known, directory)) {
      unpackDeb(deb, directory);
      rmSync(deb);
    }
    writeFileSync(stamp, wanted);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`tests by tools of guests' networks are skipped: ${error.message}`);
  }
}
