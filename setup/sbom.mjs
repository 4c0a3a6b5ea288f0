// The software bill of materials of what an installed package brings, as CycloneDX: `node setup/sbom.mjs FILE`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectFolder } from '../bin/supported-node.mjs';

const readJson = (file) => JSON.parse(readFileSync(join(projectFolder, file), 'utf8'));

/**
 * Writes it, by `npm sbom`, from the lock file. That is given to npm without what is for development alone: its own `--omit dev`
 * leaves out whatever a package of development needs, too (npm 10 and 11: 163 of 233 packages, all of @temporalio among them).
 */
export function writeSbom(file) {
  const manifest = readJson('package.json');
  const lock = readJson('package-lock.json');
  const packages = Object.entries(lock.packages).filter(([, { dev, devOptional }]) => !dev && !devOptional);
  const scratch = mkdtempSync(join(tmpdir(), 'lifeboat-sbom-'));
  try {
    // npm calls the component as its folder is called.
    const folder = join(scratch, manifest.name);
    mkdirSync(folder);
    const root = { ...lock.packages[''] };
    delete manifest.devDependencies;
    delete root.devDependencies;
    const write = (name, content) => writeFileSync(join(folder, name), JSON.stringify(content));
    write('package.json', manifest);
    write('package-lock.json', { ...lock, packages: { ...Object.fromEntries(packages), '': root } });
    const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
    writeFileSync(file, execFileSync('npm', args, { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 26 }));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) writeSbom(process.argv[2]);
