// Part of `npm pack`: says in dist/ of which commit the package is, for `lifeboat version`. Outside of a repository nothing is said.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from '../bin/supported-node.mjs';
import { output } from './process.mjs';

const commit = output('git', ['-C', projectFolder, 'rev-parse', 'HEAD'])?.trim();
const changed =
  output('git', ['-C', projectFolder, 'status', '--porcelain', '--untracked-files=no'])?.trim() !== '';
if (commit) writeFileSync(join(projectFolder, 'dist', 'COMMIT'), `${commit}${changed ? '-changed' : ''}\n`);
