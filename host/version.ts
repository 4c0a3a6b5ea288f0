import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './project-root';

/** Lifeboat's version, as the package has it. */
export function lifeboatVersion(): string {
  const manifest = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}

/** The commit that an installed package was made of, with `-changed` behind it where the work tree had other things; undefined where nobody has said. */
export function lifeboatCommit(root = projectRoot()): string | undefined {
  try {
    return readFileSync(join(root, 'dist', 'COMMIT'), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
