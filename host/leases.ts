import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, listIfExists } from './if-exists';
import { processLives, processName } from './pid-file';

/**
 * Who on this host uses something, in whichever process: a directory for the thing, and in it a file for each user. Users whose
 * process has died count no more, so that what a killed worker has left is told from what a living one works with. The
 * caller sees to it that one at a time changes a thing's users.
 */
export class Leases {
  constructor(private readonly directory: string) {}

  /** Begins a use by this process. @returns its name, for {@link end} */
  async begin(thing: string): Promise<string> {
    const user = randomUUID();
    await mkdir(this.#of(thing), { recursive: true });
    await writeFile(join(this.#of(thing), user), String(await processName(process.pid)));
    return user;
  }

  /** Whether this use goes on. */
  holds(thing: string, user: string): Promise<boolean> {
    return exists(join(this.#of(thing), user));
  }

  /** Ends a use; one that has ended before, too. */
  async end(thing: string, user: string): Promise<void> {
    await rm(join(this.#of(thing), user), { force: true });
  }

  /** Whether a living process uses the thing; forgets the dead. */
  async used(thing: string): Promise<boolean> {
    let used = false;
    for (const user of await listIfExists(this.#of(thing))) {
      const file = join(this.#of(thing), user);
      if (await processLives(await readFile(file, 'utf8'))) used = true;
      else await rm(file, { force: true });
    }
    return used;
  }

  /** Ends all uses of the thing, whoever's they are. */
  async forget(thing: string): Promise<void> {
    await rm(this.#of(thing), { recursive: true, force: true });
  }

  /** @param thing becomes the name of a directory */
  #of(thing: string): string {
    return join(this.directory, thing);
  }
}
