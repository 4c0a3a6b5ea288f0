import { S3Client } from '@aws-sdk/client-s3';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRestorePlanActivities } from '../../activities/aws-proxy/restore/plan';
import { createSnapshotCopyActivities } from '../../activities/aws-proxy/restore/snapshot-copy';
import { DeviceNames } from '../../activities/aws-proxy/proxy-host/device-names';
import { createVerifyActivities } from '../../activities/aws-proxy/restore/verify';
import {
  createHostCopyActivities,
  createVolumeCopyActivities,
} from '../../activities/aws-proxy/restore/volume-copy';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { RequestBudgets } from '../../activities/aws-proxy/account/request-quotas';
import { createDrCopyActivities } from '../../activities/aws-proxy/restore/publish';
import { createBackupActivities } from '../../activities/backup-proxy/backup';
import { PlanLimits } from '../../activities/backup-proxy/plan-limits';
import { createFailbackCopyActivities } from '../../activities/backup-proxy/failback-copy';
import { type Clock } from '../../blocks/limits/rate-limit';
import { type Hypervisor, type OpenDisk, type VmConfiguration } from '../../hypervisor/port';
import { guestAdapter } from '../../guest/adapter';
import { type RunContext } from '../../plan/run';
import { type LimitedSending } from '../../repository/objects/limited-sending';
import { s3ObjectStore } from '../../repository/objects/object-store';
import {
  PROXY_AVAILABILITY_ZONE,
  PROXY_INSTANCE_ID,
  REGION,
  SHOP_BUCKET,
  shopFixtures,
} from '../../sandbox/aws/fixtures';
import { startAwsEndpoint } from '../../sandbox/aws/start';
import { RUN } from '../support/run-context';

/** Both sites of a copy: the AWS endpoint with its real storage, and one VM whose disks are raw files. */
export type CopySite = Awaited<ReturnType<typeof startCopySite>>;

export const VM = 'db';

type Intercept = NonNullable<Parameters<typeof startAwsEndpoint>[1]>['intercept'];

/** @param clock in milliseconds since 1970, which limits of the bandwidth go by */
export async function startCopySite(intercept?: Intercept, clock?: Clock) {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-copy-'));
  const devices = join(directory, 'devices');
  await mkdir(devices);
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'LIFEBOATTEST', AWS_SECRET_ACCESS_KEY: 'secret' });
  const endpoint = await startAwsEndpoint(
    {
      directory: join(directory, 'aws'),
      listen: { host: '127.0.0.1', port: 0 },
      dns: { host: '127.0.0.1', port: 0 },
      region: REGION,
      accessKeyId: 'LIFEBOATTEST',
      secretAccessKey: 'secret',
      network: { id: 'none', runDirectory: directory },
      loopbackOctet: 99,
      deviceDirectory: devices,
      runner: 'no-boot',
      times: { volumeCreate: 0.05, volumeAttach: 0.05, snapshotComplete: 0.05 },
      fixtures: shopFixtures(),
    },
    { intercept },
  );
  // The endpoint has no limits, so that tests need not wait for any.
  const budgets = new RequestBudgets({ speed: 1000 });
  const { ec2, ebs } = awsClients({ region: REGION, endpoint: endpoint.endpoint, budgets });
  const s3 = new S3Client({ region: REGION, endpoint: endpoint.endpoint, forcePathStyle: true });
  const address = { bucket: SHOP_BUCKET, prefix: 'backups/', region: REGION, endpoint: endpoint.endpoint };
  const store = s3ObjectStore(s3, address);
  const run: RunContext = { ...RUN, repository: address };
  const hypervisor = fileHypervisor(directory);
  const objectStore = (_address: unknown, sending?: LimitedSending) => s3ObjectStore(s3, address, sending);
  const limits = new PlanLimits(clock, clock && (() => new Date(clock.now())));
  const common = { ec2, ebs, hypervisor, objectStore, limits, pollSeconds: 0.05 };
  /** The AWS proxy. */
  const proxy = {
    ec2,
    instanceId: PROXY_INSTANCE_ID,
    deviceNames: new DeviceNames(),
    deviceDirectory: devices,
    pollSeconds: 0.05,
  };

  /** The activities as workers would have them, on a host whose recorded progress is in that directory. */
  const activities = (stateDirectory = join(directory, 'state')) => ({
    ...createBackupActivities({ ...common, guestAdapter: guestAdapter(), stateDirectory }),
    ...createFailbackCopyActivities({ ...common, stateDirectory }),
    ...createRestorePlanActivities(common),
    ...createSnapshotCopyActivities({ ...common, stateDirectory }),
    ...createVolumeCopyActivities(common),
    ...createVerifyActivities(common),
    ...createHostCopyActivities({ ...common, host: proxy, stateDirectory }),
    ...createDrCopyActivities(common),
  });

  return {
    directory,
    devices,
    ec2,
    ebs,
    store,
    run,
    hypervisor,
    proxy,
    availabilityZone: PROXY_AVAILABILITY_ZONE,
    activities,
    async close() {
      for (const client of [ec2, ebs, s3]) client.destroy();
      await endpoint.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** An activity's surroundings. Failures that a test asks for are not logged. */
export function newEnvironment(
  info?: ConstructorParameters<typeof MockActivityEnvironment>[0],
): MockActivityEnvironment {
  return new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
}

/** Runs an activity as a worker would, once. */
export function inActivity<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: Input,
  environment = newEnvironment(),
): Promise<Output> {
  return environment.run(activity, input);
}

/** The few of a hypervisor's calls that copies make, on raw files. A snapshot is a copy of the files. */
export function fileHypervisor(directory: string) {
  const disks = new Map<string, Buffer>();
  const snapshots = new Map<string, string>();
  const configuration: VmConfiguration = {
    cpus: 2,
    memoryMiB: 1024,
    firmware: 'bios',
    nics: [],
    guestOs: 'debian12',
    disks: [],
  };
  const opened = async (path: string): Promise<OpenDisk> => {
    const file = await open(path);
    const { size } = await file.stat();
    await file.close();
    return { path, sizeBytes: size, close: () => Promise.resolve() };
  };
  const missing = (): never => {
    throw new Error('The copies need no such call.');
  };
  const hypervisor = {
    listVms: missing,
    createVm: missing,
    addDisk: missing,
    configureVm: missing,
    deleteVm: missing,
    powerOn: missing,
    shutDown: missing,
    powerOff: missing,
    consoleOutput: missing,
    holdVm: missing,
    revertVm: missing,
    dropHold: missing,
    renameVm: missing,
    freeBytes: missing,
    describeVm: () => Promise.resolve({ ...structuredClone(configuration), power: 'running' as const }),
    async snapshotVm(_vm: string, id: string) {
      if (!snapshots.has(id)) {
        for (const [key, bytes] of disks) await writeFile(join(directory, `${id}-${key}`), bytes);
        snapshots.set(id, new Date(Date.UTC(2026, 10, 23, 18, snapshots.size)).toISOString());
      }
      return {
        takenAt: snapshots.get(id)!,
        consistency: 'crash' as const,
        notes: [],
        configuration: structuredClone(configuration),
        changeMarkers: Object.fromEntries([...disks.keys()].map((key) => [key, `${id} of ${key}`])),
      };
    },
    openSnapshotDisk: (_vm: string, id: string, key: string) => opened(join(directory, `${id}-${key}`)),
    // It cannot tell, so that every block is compared.
    changedAreas: () => Promise.resolve(undefined),
    releaseSnapshot: () => Promise.resolve(),
    openDisk: (_vm: string, key: string) => opened(join(directory, `home-${key}`)),
  } satisfies Hypervisor;

  return {
    ...hypervisor,
    /** Gives the VM a disk with that content, or replaces one. */
    setDisk(key: string, bytes: Buffer) {
      if (!disks.has(key))
        configuration.disks.push({ key, sizeBytes: bytes.length, slot: disks.size, boot: disks.size === 0 });
      configuration.disks.find((disk) => disk.key === key)!.sizeBytes = bytes.length;
      disks.set(key, bytes);
    },
    /** An empty disk at the primary site for failback. @returns its path */
    async emptyDisk(key: string, sizeBytes: number): Promise<string> {
      const path = join(directory, `home-${key}`);
      await writeFile(path, Buffer.alloc(sizeBytes));
      return path;
    },
  };
}
