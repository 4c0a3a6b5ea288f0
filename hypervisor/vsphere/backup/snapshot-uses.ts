import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../../host/atomic-file';
import { readIfExists } from '../../../host/if-exists';
import { Leases } from '../../../host/leases';
import { processLives, processName } from '../../../host/pid-file';
import { fileNameOf, type VmRef } from '../vm';
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
  /** A try of its run that nobody waits for any more may be about to take it: then it is nobody's. */
  givenUp: z.boolean().optional(),
});

type Use = z.infer<typeof useSchema>;

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
    await this.#note(vm, id, {});
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

  /** Notes that nobody is to work with the snapshot again, nor to take it. Such notes of the VM's earlier backups go. */
  async giveUp(vm: VmRef, id: string): Promise<void> {
    await this.#open.forget(thingOf(vm, snapshotName(id)));
    await this.#note(vm, id, { givenUp: true });
    const directory = this.#directoryOf(vm);
    for (const file of await readdir(directory)) {
      const use = await readUse(join(directory, file));
      if (use?.givenUp === true && hoursSince(use.at) > UNTOUCHED_HOURS)
        await rm(join(directory, file), { force: true });
    }
  }

  async isGivenUp(vm: VmRef, id: string): Promise<boolean> {
    return (await readUse(this.#file(vm, snapshotName(id))))?.givenUp === true;
  }

  /**
   * Whether nobody works with the snapshot any more.
   * @param proxy managed object id of this proxy
   * @param nextBegins whether another backup of the VM is beginning
   */
  async isStale(vm: VmRef, snapshot: OwnSnapshot, proxy: string, nextBegins: boolean): Promise<boolean> {
    if (await this.#open.used(thingOf(vm, snapshot.name))) return false;
    const use = await readUse(this.#file(vm, snapshot.name));
    if (use?.givenUp === true) return true;
    if (use === undefined) {
      // Every snapshot of this proxy is noted before it is taken: what did that has lost its notes, and begins anew.
      if (nextBegins && snapshot.description.proxy === proxy) return true;
      return hoursSince(snapshot.description.takenAt) > UNKNOWN_HOURS;
    }
    if (!nextBegins) return hoursSince(use.at) > UNKNOWN_HOURS;
    return !(await processLives(use.process)) || hoursSince(use.at) > UNTOUCHED_HOURS;
  }

  async #note(vm: VmRef, id: string, more: { givenUp?: boolean }): Promise<void> {
    await mkdir(this.#directoryOf(vm), { recursive: true });
    const own = (await processName(process.pid)) ?? '';
    const use: Use = { process: own, at: new Date().toISOString(), ...more };
    await writeFileAtomically(this.#file(vm, snapshotName(id)), JSON.stringify(use));
  }

  #file(vm: VmRef, name: string): string {
    return join(this.#directoryOf(vm), `${name}.json`);
  }

  #directoryOf(vm: VmRef): string {
    return join(this.directory, 'vms', fileNameOf(vm));
  }
}

async function readUse(file: string): Promise<Use | undefined> {
  const text = await readIfExists(file);
  return text === undefined ? undefined : useSchema.parse(JSON.parse(text));
}

function thingOf(vm: VmRef, name: string): string {
  return `${fileNameOf(vm)}-${name}`;
}

function hoursSince(time: string): number {
  return (Date.now() - Date.parse(time)) / 3_600_000;
}
