import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../host/atomic-file';
import { readIfExists } from '../../host/if-exists';
import { Leases } from '../../host/leases';
import { processLives, processName } from '../../host/pid-file';
import { fileNameOf, type VmRef } from './vm';
import { type OwnSnapshot, snapshotName } from './snapshots';

/**
 * Which snapshots are worked with. A backup goes on in another process after its worker has died, so a snapshot without a living
 * process is not stale for that alone: it is when another backup of the VM begins, as one goes on at a time.
 */

/**
 * A living process that has not touched a snapshot for so long works with it no more: its run was terminated. Between the
 * steps of a run that goes on lie minutes.
 */
const UNTOUCHED_HOURS = 1;
/** For a snapshot of which nothing is known here: another proxy may be reading it, for as long as a large disk takes. */
const UNKNOWN_HOURS = 24;

const useSchema = z.object({
  /** See host/pid-file. */
  process: z.string(),
  at: z.iso.datetime(),
});

export class SnapshotUses {
  readonly #open: Leases;

  constructor(
    /** Of this host alone; outlives the process. */
    private readonly directory: string,
  ) {
    this.#open = new Leases(join(directory, 'open'));
  }

  /** Notes that this process works with a snapshot, or is about to take it. */
  async touch(vm: VmRef, id: string): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    await writeFileAtomically(
      this.#file(vm, snapshotName(id)),
      JSON.stringify({ process: await processName(process.pid), at: new Date().toISOString() }),
    );
  }

  /** Notes that a disk of the snapshot is being read. @returns what ends it */
  async begin(vm: VmRef, id: string): Promise<() => Promise<void>> {
    const thing = thingOf(vm, snapshotName(id));
    const user = await this.#open.begin(thing);
    return async () => {
      // Not where the snapshot was released meanwhile.
      if (await this.#open.holds(thing, user)) await this.touch(vm, id);
      await this.#open.end(thing, user);
    };
  }

  async forget(vm: VmRef, id: string): Promise<void> {
    await this.#open.forget(thingOf(vm, snapshotName(id)));
    await rm(this.#file(vm, snapshotName(id)), { force: true });
  }

  /**
   * Whether nobody works with the snapshot any more.
   * @param proxy managed object id of this proxy
   * @param nextBegins whether another backup of the VM is beginning
   */
  async isStale(vm: VmRef, snapshot: OwnSnapshot, proxy: string, nextBegins: boolean): Promise<boolean> {
    if (await this.#open.used(thingOf(vm, snapshot.name))) return false;
    const use = await this.#use(vm, snapshot.name);
    if (use === undefined) {
      // Every snapshot of this proxy is noted before it is taken: what did that has lost its notes, and begins anew.
      if (nextBegins && snapshot.description.proxy === proxy) return true;
      return hoursSince(snapshot.description.takenAt) > UNKNOWN_HOURS;
    }
    if (!nextBegins) return hoursSince(use.at) > UNKNOWN_HOURS;
    return !(await processLives(use.process)) || hoursSince(use.at) > UNTOUCHED_HOURS;
  }

  async #use(vm: VmRef, name: string): Promise<z.infer<typeof useSchema> | undefined> {
    const text = await readIfExists(this.#file(vm, name));
    return text === undefined ? undefined : useSchema.parse(JSON.parse(text));
  }

  #file(vm: VmRef, name: string): string {
    return join(this.directory, `${thingOf(vm, name)}.json`);
  }
}

function thingOf(vm: VmRef, name: string): string {
  return `${fileNameOf(vm)}-${name}`;
}

function hoursSince(time: string): number {
  return (Date.now() - Date.parse(time)) / 3_600_000;
}
