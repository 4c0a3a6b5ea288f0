// Part of `npm run build`: removes from dist/ what sources that have been moved or deleted were compiled to. The compiler
// leaves it; it would be found by its old path, and packed. What has a source stays, so a sandbox that runs stays whole.
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from '../bin/supported-node.mjs';

/** Endings of what the compiler writes, with those of what it compiles to that. */
const OUTPUT = /\.(m?)js(?:\.map)?$/;
const sourcesOf = (output) => [output.replace(OUTPUT, '.$1ts'), output.replace(OUTPUT, '.$1js')];

const dist = join(projectFolder, 'dist');

/** @param folder relative to dist/ and to the project alike */
function prune(folder) {
  for (const entry of readdirSync(join(dist, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) prune(path);
    else if (OUTPUT.test(path) && !sourcesOf(path).some((source) => existsSync(join(projectFolder, source))))
      rmSync(join(dist, path));
  }
  if (readdirSync(join(dist, folder)).length === 0) rmdirSync(join(dist, folder));
}

// Only its folders: what lies in dist/ itself is bundled, not compiled.
for (const entry of readdirSync(dist, { withFileTypes: true })) if (entry.isDirectory()) prune(entry.name);

// Of a package that was made before: what is built now is of no commit that is known.
rmSync(join(dist, 'COMMIT'), { force: true });
