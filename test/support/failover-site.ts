import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { awsClients, type AwsClients } from '../../activities/aws-proxy/account/clients';
import { s3Client } from '../../activities/aws-proxy/account/single-clients';
import { RequestBudgets } from '../../activities/aws-proxy/account/request-quotas';
import { diskValues, tagList } from '../../activities/aws-proxy/account/tags';
import { type DiskConfiguration } from '../../hypervisor/port';
import { type RunContext } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';
import { type GuestRehearsal } from '../../repository/backups/manifest';
import { writeManifest } from '../../repository/backups/backups';
import { type ObjectStore, s3ObjectStore } from '../../repository/objects/object-store';
import { type AwsEndpointConfig } from '../../sandbox/aws/config';
import { REGION, SHOP_BUCKET, SHOP_HOSTED_ZONE_ID, shopFixtures } from '../../sandbox/aws/fixtures';
import { shopSites } from '../../sandbox/shop-sites';
import { startAwsEndpoint } from '../../sandbox/aws/start';
import { AwsError } from '../../sandbox/aws/wire/errors';

const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'AKIALIFEBOATTEST0000', AWS_SECRET_ACCESS_KEY: 'contract-test' };

/** A fault that the endpoint answers with: the first `times` calls of the operation that it holds for. */
export interface Fault {
  operation: string;
  times: number;
  code: string;
  message?: string;
  /** Whether the operation is carried out all the same, and only the answer is lost. */
  carriedOut?: boolean;
  matches?: (input: Record<string, unknown>) => boolean;
}

/** An activity's environment that does not log the failures which a test is about. */
export function quietEnvironment(): MockActivityEnvironment {
  return new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') });
}

/** A recovery site whose instances change states only, with the clients to ask it. */
export interface FailoverSite {
  clients: AwsClients;
  store: ObjectStore;
  deviceDirectory: string;
  /** The endpoint's, where it looks for rules of faults. */
  endpointDirectory: string;
  faults: Fault[];
  /** What was asked for, in order. */
  calls: { operation: string; input: Record<string, unknown> }[];
  run(runId: string): RunContext;
  /** Runs an activity as a worker would. */
  activity<I, O>(activity: (input: I) => Promise<O>, input: I): Promise<O>;
  stop(): Promise<void>;
}

export async function startFailoverSite(
  fixtures = shopFixtures(),
  times: Partial<AwsEndpointConfig['times']> = {},
): Promise<FailoverSite> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-site-'));
  const deviceDirectory = join(directory, 'devices');
  const faults: Fault[] = [];
  const calls: FailoverSite['calls'] = [];
  const quick = 0.05;
  const config: AwsEndpointConfig = {
    directory: join(directory, 'aws'),
    listen: { host: '127.0.0.1', port: 0 },
    dns: { host: '127.0.0.1', port: 0 },
    region: REGION,
    accessKeyId: CREDENTIALS.AWS_ACCESS_KEY_ID,
    secretAccessKey: CREDENTIALS.AWS_SECRET_ACCESS_KEY,
    network: { id: 'none', runDirectory: join(directory, 'run') },
    loopbackOctet: 77,
    deviceDirectory,
    runner: 'no-boot',
    times: {
      instanceStart: quick,
      statusChecks: quick,
      instanceStop: quick,
      volumeCreate: quick,
      volumeAttach: quick,
      rootReplace: quick,
      snapshotComplete: quick,
      dnsPropagation: quick,
      ...times,
    },
    fixtures,
  };
  const endpoint = await startAwsEndpoint(config, {
    async intercept({ operation, input }, handle) {
      calls.push({ operation, input });
      const fault = faults.find(
        (candidate) =>
          candidate.operation === operation && candidate.times > 0 && (candidate.matches?.(input) ?? true),
      );
      if (fault === undefined) return handle();
      fault.times -= 1;
      if (fault.carriedOut === true) await handle();
      throw new AwsError(fault.code, fault.message ?? `${fault.code} by rule of the test`);
    },
  });
  // The default chain finds them there, as it would find a role's on EC2.
  Object.assign(process.env, CREDENTIALS);
  const options = { region: REGION, endpoint: endpoint.endpoint };
  // The endpoint has no limits, so that tests need not wait for any.
  const clients = awsClients({ ...options, budgets: new RequestBudgets({ speed: 1000 }) });
  const s3 = s3Client(options);
  return {
    clients,
    store: s3ObjectStore(s3, { bucket: SHOP_BUCKET, prefix: '' }),
    deviceDirectory,
    endpointDirectory: config.directory,
    faults,
    calls,
    run: (runId) => ({
      plan: 'shop',
      digest: '0'.repeat(64),
      repository: { bucket: SHOP_BUCKET, prefix: '', region: REGION, endpoint: endpoint.endpoint },
      runId,
      generation: 1,
    }),
    activity: (activity, input) => quietEnvironment().run(activity, input),
    async stop() {
      for (const client of [...Object.values(clients), s3]) (client as { destroy(): void }).destroy();
      await endpoint.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export const DB_DISKS: DiskConfiguration[] = [
  { key: 'system', sizeBytes: 2 * 2 ** 30 - 512, slot: 0, boot: true },
  { key: 'data', sizeBytes: 2 ** 30, slot: 1, boot: false },
];

/** Puts a DR copy with nothing in it, and the backup that it holds, where a restore would have put them. */
export async function publishDrCopy(
  { clients, store, run }: FailoverSite,
  vm: string,
  disks: DiskConfiguration[],
  guest?: GuestRehearsal,
  kmsKey?: string,
  { recoveryPoint, takenAt } = {
    recoveryPoint: '20261123T101500Z-0199abcd',
    takenAt: '2026-11-23T10:15:00.000Z',
  },
): Promise<string[]> {
  const snapshotIds: string[] = [];
  for (const disk of disks) {
    const { SnapshotId } = await clients.ebs.send(
      new StartSnapshotCommand({
        VolumeSize: Math.ceil(disk.sizeBytes / 2 ** 30),
        ...(kmsKey === undefined ? {} : { Encrypted: true, KmsKeyArn: kmsKey }),
        Tags: tagList({
          plan: 'shop',
          vm,
          run: run('restore-run').runId,
          role: 'dr-copy',
          ...diskValues(disk),
          diskCount: disks.length,
          recoveryPoint,
          takenAt,
          attempt: 1,
          blockMap: 'ab'.repeat(32),
        }),
      }),
    );
    await clients.ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
    snapshotIds.push(SnapshotId ?? '');
  }
  await writeManifest(store, {
    version: 1,
    vm,
    backupId: recoveryPoint,
    takenAt,
    consistency: 'crash',
    configuration: {
      cpus: 2,
      memoryMiB: 1024,
      firmware: 'bios',
      nics: [],
      guestOs: 'debian12_64Guest',
      disks,
    },
    disks: disks.map(({ key, sizeBytes }) => ({
      key,
      sizeBytes,
      blockMap: `${vm}/backups/${recoveryPoint}/${key}.map`,
      blockMapSha256: 'ab'.repeat(32),
      dataBlocks: 0,
      storedBlocks: 0,
      storedBytes: 0,
    })),
    ...(guest === undefined ? {} : { guest }),
  });
  return snapshotIds;
}

/** The sample plan, as far as the recovery site needs it. */
export function shopPlan(): DrPlan {
  const sites = shopSites();
  sites.recoverySite.production.publicAddress = true;
  sites.repository.prefix = '';
  return {
    name: 'shop',
    ...sites,
    replication: { frequency: 3600, copy: 'direct' },
    vms: [
      {
        name: 'db',
        instanceTypes: ['m6i.large', 'm5.large'],
        dependsOn: [],
        hostNames: ['db.internal'],
        readiness: { tcp: 6379, timeout: 60 },
        privateAddress: '10.0.1.30',
        primaryAddress: '192.168.10.30',
      },
    ],
    dns: {
      hostedZone: SHOP_HOSTED_ZONE_ID,
      records: [{ name: 'www.shop.example', vm: 'db', address: 'public', ttl: 60 }],
    },
  };
}
