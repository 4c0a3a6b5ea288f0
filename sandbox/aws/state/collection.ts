import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What every stored resource has. */
export interface Stored {
  id: string;
}

/**
 * Resources of one kind: in memory, and each a JSON file that is replaced as a whole (tmp + rename). Writes are
 * synchronous, so that a change is either not made or on disk before its caller learns of it: the process may be
 * killed at any moment. Power failures are not provided for; the sandbox needs no fsync.
 */
export class Collection<T extends Stored> {
  private readonly items = new Map<string, T>();

  constructor(private readonly directory: string) {
    mkdirSync(directory, { recursive: true });
    for (const name of readdirSync(directory)) {
      if (!name.endsWith('.json')) {
        // Left by a process that was killed between writing and renaming: never referred to.
        rmSync(join(directory, name), { force: true });
        continue;
      }
      const item = JSON.parse(readFileSync(join(directory, name), 'utf8')) as T;
      this.items.set(item.id, item);
    }
  }

  get(id: string): T | undefined {
    return this.items.get(id);
  }

  has(id: string): boolean {
    return this.items.has(id);
  }

  /** All items, in the order in which they were put (after a restart: of their file names). */
  all(): T[] {
    return [...this.items.values()];
  }

  /** Creates or replaces an item. The object given is the stored one from now on; change it only to put it again. */
  put(item: T): T {
    const path = this.pathOf(item.id);
    writeFileSync(`${path}.tmp`, JSON.stringify(item, undefined, 1));
    renameSync(`${path}.tmp`, path);
    this.items.set(item.id, item);
    return item;
  }

  /** Changes some fields of an item. @returns undefined where there is none (any more) */
  update(id: string, changes: Partial<T>): T | undefined {
    const item = this.items.get(id);
    return item === undefined ? undefined : this.put({ ...item, ...changes });
  }

  delete(id: string): void {
    rmSync(this.pathOf(id), { force: true });
    this.items.delete(id);
  }

  private pathOf(id: string): string {
    // Ids may come from a request (S3 keys are hashed before); nothing but plain names becomes a path.
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,200}$/.test(id))
      throw new Error(`"${id}" is no id of a stored resource`);
    return join(this.directory, `${id}.json`);
  }
}
