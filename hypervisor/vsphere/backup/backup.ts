import { type Hypervisor, type SnapshotOptions, type VmSnapshot, VmNotFoundError } from '../../port';
import { changedAreas, standingDisks } from './changed-areas';
import { describeConfiguration, describeDisks, networkNames } from '../describe';
import { extraConfig, MARK_OPTION } from '../devices';
import { heldBy } from '../failback/hold';
import { type VmRef } from '../vm';
import { aloneWith } from '../vm-lock';
import { clearVm, releaseOne } from './leftovers';
import { refuseWhatCannotBe } from './refuse';
import { type Site } from '../site';
import {
  configurationAt,
  consolidateWhereNeeded,
  findSnapshot,
  mustFindSnapshot,
  type OwnSnapshot,
  snapshotsOf,
  takeSnapshot,
  whenNoneIsBeingTaken,
} from './snapshots';
import { isFault } from '../vim/faults';
import { vmSnapshot } from './vm-snapshot';

export type BackupMethods = Pick<
  Hypervisor,
  'listVms' | 'describeVm' | 'snapshotVm' | 'openSnapshotDisk' | 'changedAreas' | 'releaseSnapshot'
>;

/** What a backup asks of vSphere. */
export function backupMethods(site: Site): BackupMethods {
  const { client, inventory, hotAdd, uses } = site;
  const alone = <T>(vm: VmRef, work: () => Promise<T>): Promise<T> => aloneWith(site, vm, work);

  async function take(
    vm: VmRef,
    reference: string,
    id: string,
    options: SnapshotOptions,
  ): Promise<OwnSnapshot> {
    await refuseWhatCannotBe(site, vm, reference, options.excludeDisks ?? []);
    await clearVm(site, vm, id);
    await switchTrackingOn(vm);
    await uses.touch(vm, id);
    const taken = await takeSnapshot(client, vm, {
      id,
      proxy: (await inventory.proxy()).value,
      quiesce: options.consistency === 'quiesced',
    });
    // One that a dead worker had asked for may have come to be meanwhile.
    await clearVm(site, vm, id);
    return taken;
  }

  /** Never where a snapshot stands: its answers would be wrong, without an error. */
  async function switchTrackingOn(vm: VmRef): Promise<void> {
    const found = await client.get(vm, 'config.changeTrackingEnabled', 'capability.changeTrackingSupported');
    if (found['config.changeTrackingEnabled'] === true) return;
    if (found['capability.changeTrackingSupported'] !== true) return;
    const { own, others } = await snapshotsOf(client, vm);
    if (own.length + others.length > 0) return;
    await client.run('ReconfigVM_Task', vm, { spec: { changeTrackingEnabled: true } });
  }

  async function described(vm: VmRef, snapshot: OwnSnapshot, options: SnapshotOptions): Promise<VmSnapshot> {
    const config = await configurationAt(client, snapshot.ref);
    const { 'runtime.consolidationNeeded': needed } = await client.get(vm, 'runtime.consolidationNeeded');
    return vmSnapshot(snapshot, config, options, {
      consolidationNeeded: needed === true,
      networks: await networkNames(client, config.hardware.device),
      standing: await standingDisks(client, vm, snapshot),
    });
  }

  async function diskOfSnapshot(vm: VmRef, reference: string, id: string, key: string) {
    const snapshot = await mustFindSnapshot(client, vm, id, reference);
    const disks = describeDisks(await configurationAt(client, snapshot.ref));
    const found = disks.find(({ configuration }) => configuration.key === key);
    if (found === undefined) throw new Error(`Snapshot "${id}" of VM "${reference}" has no disk "${key}".`);
    return { snapshot, disk: found.disk };
  }

  return {
    listVms: () => inventory.references(),

    async describeVm(vm) {
      const ref = await inventory.vm(vm);
      try {
        const {
          config,
          'runtime.powerState': power,
          snapshot,
        } = await client.get(ref, 'config', 'runtime.powerState', 'snapshot');
        // A VM that is being made, or whose host is away, has no configuration.
        if (config === undefined)
          throw new Error(`vCenter does not tell the configuration of "${vm}" now; its host may be away.`);
        const mark = extraConfig(config.extraConfig, MARK_OPTION);
        const holder = heldBy(snapshot?.rootSnapshotList);
        return {
          ...describeConfiguration(config, await networkNames(client, config.hardware.device)),
          power: power === 'poweredOff' ? 'off' : 'running',
          ...(mark === undefined ? {} : { mark }),
          ...(holder === undefined ? {} : { heldBy: holder }),
        };
      } catch (error) {
        if (isFault(error, 'ManagedObjectNotFound')) throw new VmNotFoundError(vm);
        throw error;
      }
    },

    async snapshotVm(vm, snapshotId, options = {}) {
      const ref = await inventory.vm(vm);
      return alone(ref, async () => {
        if (await uses.isGivenUp(ref, snapshotId))
          throw new Error(`The snapshot "${snapshotId}" of VM "${vm}" was given up; its backup is over.`);
        const existing = await findSnapshot(client, ref, snapshotId);
        const snapshot = existing ?? (await take(ref, vm, snapshotId, options));
        await uses.touch(ref, snapshotId);
        return described(ref, snapshot, options);
      });
    },

    async openSnapshotDisk(vm, snapshotId, diskKey) {
      const ref = await inventory.vm(vm);
      const { disk } = await diskOfSnapshot(ref, vm, snapshotId, diskKey);
      const end = await uses.begin(ref, snapshotId);
      try {
        const { uuid, sizeBytes, backing, label } = disk;
        const opened = await hotAdd.open(
          { uuid, sizeBytes, backing, shown: `${label} of the snapshot of VM "${vm}"` },
          'read',
        );
        return {
          ...opened,
          async close() {
            await opened.close();
            await end();
          },
        };
      } catch (error) {
        await end();
        throw error;
      }
    },

    async changedAreas(vm, snapshotId, diskKey, since) {
      const ref = await inventory.vm(vm);
      const { snapshot, disk } = await diskOfSnapshot(ref, vm, snapshotId, diskKey);
      await uses.touch(ref, snapshotId);
      return changedAreas(client, ref, snapshot, disk, since);
    },

    async releaseSnapshot(vm, snapshotId) {
      const ref = await inventory.vmIfThere(vm);
      if (ref === undefined) return;
      await alone(ref, async () => {
        await uses.giveUp(ref, snapshotId);
        await whenNoneIsBeingTaken(client, ref);
        // A call that was thought to have failed may have taken a second one.
        for (;;) {
          const found = await findSnapshot(client, ref, snapshotId);
          if (found === undefined) break;
          await releaseOne(site, found);
        }
        await consolidateWhereNeeded(client, ref);
      });
    },
  };
}
