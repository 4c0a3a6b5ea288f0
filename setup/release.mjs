// `npm run release`: the package, its bill of materials and their checksums, in .lifeboat/release/. It publishes nothing.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from '../bin/supported-node.mjs';
import { output, run, SetupError } from './process.mjs';
import { writeSbom } from './sbom.mjs';

/** What has to be mended before a release. @param folder with package.json and CHANGELOG.md */
function problems(folder) {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const [, ...sections] = readFileSync(join(folder, 'CHANGELOG.md'), 'utf8').split(/^## /m);
  const unreleased = sections[0]?.startsWith('[Unreleased]') ? sections.shift() : '';
  const [, newest, date] = /^\[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?/.exec(sections[0] ?? '') ?? [];
  return [
    ...(/^- /m.test(unreleased)
      ? ['CHANGELOG.md has changes that are in no version: move them from [Unreleased] to one.']
      : []),
    ...(newest === version
      ? []
      : [`The newest version of CHANGELOG.md is ${newest ?? 'none'}, and that of package.json ${version}.`]),
    ...(newest !== undefined && date === undefined
      ? [`Give ${newest} its date in CHANGELOG.md: ## [${newest}] - YYYY-MM-DD.`]
      : []),
  ];
}

async function release() {
  const found = problems(projectFolder);
  if (output('git', ['-C', projectFolder, 'status', '--porcelain'])?.trim() !== '')
    found.push('The work tree has changes that are in no commit.');
  if (found.length > 0)
    throw new SetupError(`nothing was made:\n${found.map((one) => `- ${one}`).join('\n')}`);
  const folder = join(projectFolder, '.lifeboat', 'release');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if ((await run('npm', ['pack', '--pack-destination', folder], { cwd: projectFolder })) !== 0)
    throw new SetupError('npm pack failed.');
  const [tarball] = readdirSync(folder);
  writeSbom(join(folder, tarball.replace(/\.tgz$/, '.cdx.json')));
  const sums = readdirSync(folder)
    .sort()
    .map(
      (file) =>
        `${createHash('sha256')
          .update(readFileSync(join(folder, file)))
          .digest('hex')}  ${file}\n`,
    );
  writeFileSync(join(folder, 'SHA256SUMS'), sums.join(''));
  console.log(`${folder}:\n${sums.join('')}`);
}

const [job, folder = projectFolder] = process.argv.slice(2);
if (job === 'check') {
  const found = problems(folder);
  for (const problem of found) console.log(problem);
  process.exitCode = found.length === 0 ? 0 : 1;
} else
  release().catch((error) => {
    console.error(error instanceof SetupError ? `lifeboat release: ${error.message}` : error);
    process.exitCode = 1;
  });
