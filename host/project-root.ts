import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The directory of the project, the same from the sources and from the build output below it: files that are no
 * TypeScript (guest files, scripts, examples) are found from here.
 * @throws when no directory above this module holds a package.json
 */
export function projectRoot(): string {
  for (let directory = __dirname; ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory;
    if (directory === dirname(directory)) throw new Error(`No package.json above ${__dirname}.`);
  }
}
