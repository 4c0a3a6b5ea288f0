import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { DescribeInstancesCommand, DescribeVolumesCommand, type Instance } from '@aws-sdk/client-ec2';
import { type DrCopy } from '../../activities/aws-proxy/account/contract';
import { type RecoveredVolume } from '../../activities/aws-proxy/launch/contract';
import { findDrCopy, withConfiguration } from '../../activities/aws-proxy/account/dr-copy';
import { createLaunchActivities } from '../../activities/aws-proxy/launch/activities';
import { createReadinessActivities } from '../../activities/aws-proxy/readiness/activities';
import { tagFilters, type TagValues } from '../../activities/aws-proxy/account/tags';
import { dialer } from '../../activities/dial';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  PROXY_AVAILABILITY_ZONE,
  REGION,
} from '../../sandbox/aws/fixtures';
import { waitUntilCompleted } from './failover-listing';
import { DB_DISKS, type FailoverSite, publishDrCopy, startFailoverSite } from './failover-site';

/** The failover activities on a site that has a DR copy of `db`, and the steps that tests begin with. */
export type FailoverSteps = Awaited<ReturnType<typeof openFailoverSteps>>;

export async function openFailoverSteps(...options: Parameters<typeof startFailoverSite>) {
  const site: FailoverSite = await startFailoverSite(...options);
  const { ec2 } = site.clients;
  const dependencies = { ...site.clients, objectStore: () => site.store };
  const activities = {
    ...createReadinessActivities({ ...dependencies, region: REGION }),
    ...createLaunchActivities({ ...dependencies, dial: dialer([]), pollSeconds: 0.05 }),
  };
  const drCopySnapshots = await publishDrCopy(site, 'db', DB_DISKS);
  await waitUntilCompleted(ec2, drCopySnapshots);
  const set = await findDrCopy(ec2, 'shop', 'db');
  if (set === undefined) throw new Error('The DR copy that was just published is not there.');
  const drCopy: DrCopy = await withConfiguration(site.store, set);

  return {
    site,
    ec2,
    activities,
    drCopy,
    drCopySnapshots,

    createVolumes: (runId: string, attempt = 1): Promise<RecoveredVolume[]> =>
      site.activity(activities.createVolumes, {
        run: site.run(runId),
        vm: 'db',
        attempt,
        drCopy,
        availabilityZone: PROXY_AVAILABILITY_ZONE,
        test: false,
      }),

    shellImage: (runId: string) =>
      site.activity(activities.ensureShellImage, { run: site.run(runId), firmware: 'bios' as const }),

    shellRequest: (runId: string, imageId: string) => ({
      run: site.run(runId),
      vm: 'db',
      attempt: 1,
      imageId,
      instanceType: 'm6i.large',
      subnet: PRODUCTION_SUBNET_ID,
      securityGroups: [PRODUCTION_SECURITY_GROUP_ID],
      publicAddress: true,
      recoveryPoint: drCopy.recoveryPoint,
      test: false,
    }),

    /** A launch copy of the DR copy, with nothing in it that the DR copy has not: a child of the boot disk's snapshot. */
    async launchCopy(): Promise<NonNullable<DrCopy['launchCopy']>> {
      const boot = drCopy.disks.find((disk) => disk.boot)!;
      const { SnapshotId: snapshotId = '' } = await site.clients.ebs.send(
        new StartSnapshotCommand({ VolumeSize: boot.volumeGiB, ParentSnapshotId: boot.snapshotId }),
      );
      const { ebs } = site.clients;
      await ebs.send(new CompleteSnapshotCommand({ SnapshotId: snapshotId, ChangedBlocksCount: 0 }));
      await waitUntilCompleted(ec2, [snapshotId]);
      return { snapshots: [{ diskKey: boot.key, snapshotId }] };
    },

    /** What the instance's guest has written to its serial console, as far as the endpoint knows. */
    async writeConsole(instanceId: string, text: string): Promise<void> {
      const directory = join(dirname(site.deviceDirectory), 'aws/ec2/machines', instanceId);
      await mkdir(directory, { recursive: true });
      await writeFile(join(directory, 'console.log'), text);
    },

    removeRun: (runId: string) => site.activity(activities.removeRecoveryResources, { run: site.run(runId) }),

    async describeInstance(instanceId: string): Promise<Instance> {
      const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [instanceId] }));
      return Reservations?.[0]?.Instances?.[0] ?? {};
    },

    /** Ids of the instances in that state that carry the tags. */
    async instancesWith(tags: Partial<TagValues>, state: string): Promise<string[]> {
      const Filters = [...tagFilters(tags), { Name: 'instance-state-name', Values: [state] }];
      const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ Filters }));
      return Reservations.flatMap(({ Instances }) => Instances ?? []).flatMap(
        ({ InstanceId }) => InstanceId ?? [],
      );
    },

    /** Ids of the volumes that carry the tags, sorted. */
    async volumesWith(tags: Partial<TagValues>): Promise<string[]> {
      const { Volumes } = await ec2.send(new DescribeVolumesCommand({ Filters: tagFilters(tags) }));
      return (Volumes ?? []).flatMap(({ VolumeId }) => VolumeId ?? []).sort();
    },
  };
}

export const idsOf = (volumes: RecoveredVolume[]): string[] => volumes.map(({ volumeId }) => volumeId).sort();
