import { type Account, collectGarbage, forgetDeleted, now } from './account';
import { type Fixtures } from './config';
import { finishSnapshot, isOpen, type LastWrites } from './ebs/snapshot-states';
import { continueInstance, resumeInstances } from './ec2/instances/instance-states';
import { continueRootReplacement, isReplacing, isUnderWay } from './ec2/instances/root-replacement-states';
import { storeFrozen } from './ec2/snapshot-states';
import { createVolumeFile } from './ec2/volume-states';

/** Creates what the fixtures have and the account has not. */
export function createFixtures(account: Account, fixtures: Fixtures): void {
  for (const { id, tags } of [...fixtures.vpcs, ...fixtures.subnets, ...fixtures.securityGroups])
    if (!account.fixtureTags.has(id)) account.fixtureTags.put({ id, tags: tags ?? {} });
  for (const { rootGiB, ...image } of fixtures.vendorImages ?? []) {
    if (account.images.has(image.id)) continue;
    account.images.put({
      ...image,
      tags: {},
      createdAt: now(),
      description: image.name,
      architecture: 'x86_64',
      enaSupport: true,
      blockDevices: [
        {
          deviceName: image.rootDeviceName,
          sizeGiB: rootGiB,
          volumeType: 'gp3',
          deleteOnTermination: true,
          encrypted: false,
        },
      ],
    });
  }
  for (const host of fixtures.hostInstances) {
    if (account.instances.has(host.id)) continue;
    const createdAt = now();
    account.instances.put({
      id: host.id,
      tags: host.tags ?? {},
      createdAt,
      host: true,
      reservationId: host.id.replace(/^i-/, 'r-'),
      launchIndex: 0,
      state: 'running',
      stateTransitionReason: '',
      imageId: 'ami-00000000000000000',
      instanceType: host.instanceType,
      subnetId: host.subnet,
      securityGroups: [],
      privateAddress: host.privateAddress,
      wantsPublicAddress: false,
      launchedAt: createdAt,
      rootDeviceName: '/dev/xvda',
      architecture: 'x86_64',
      sourceDestCheck: true,
      disableApiTermination: true,
      shutdownBehavior: 'stop',
    });
  }
}

/** Puts the account in order after a start: removes what a killed process left half-made, and resumes the rest. */
export async function resumeAccount(account: Account, lastWrites: LastWrites): Promise<void> {
  removeOrphans(account);
  forgetDeleted(account);
  collectGarbage(account);
  for (const volume of account.volumes.all())
    if (volume.state === 'creating') createVolumeFile(account, volume.id);
  for (const snapshot of account.snapshots.all()) {
    if (snapshot.deletedAt !== undefined || snapshot.state !== 'pending') continue;
    if (snapshot.copy !== undefined) storeFrozen(account, snapshot.id);
    else if (isOpen(snapshot)) lastWrites.set(snapshot.id, Date.now());
    else finishSnapshot(account, snapshot.id);
  }
  await resumeInstances(account, (id) => isReplacing(account, id));
  for (const task of account.rootReplacements.all()) {
    if (!isUnderWay(task)) continue;
    continueRootReplacement(account, task.id);
    // Of an instance that is to stop, or to end, after it.
    continueInstance(account, task.instanceId);
  }
}

function removeOrphans(account: Account): void {
  // RunInstances makes an instance's volumes before the instance: a process killed between leaves them alone.
  for (const volume of account.volumes.all())
    if (
      volume.madeFor !== undefined &&
      !account.instances.has(volume.madeFor) &&
      volume.attachment?.instanceId === volume.madeFor
    )
      account.volumes.delete(volume.id);
  const known = new Set(
    account.volumes
      .all()
      .filter((v) => v.deletedAt === undefined)
      .map(({ id }) => id),
  );
  for (const id of account.volumeFiles.ids()) if (!known.has(id)) account.volumeFiles.delete(id);
  const staged = new Set(
    account.snapshots.all().map((s) => (s.deletedAt === undefined ? s.copy?.stagingFile : undefined)),
  );
  for (const name of account.volumeFiles.stagingNames())
    if (!staged.has(name)) account.volumeFiles.deleteStaging(name);
}
