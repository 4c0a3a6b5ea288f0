import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AwsClients, awsClients } from '../../activities/aws-proxy/account/clients';
import { s3Client } from '../../activities/aws-proxy/account/single-clients';
import { RequestBudgets } from '../../activities/aws-proxy/account/request-quotas';
import { type DiskConfiguration } from '../../hypervisor/port';
import { type PlanState, type RepositoryAddress, type RunContext } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';
import { type BackupManifest } from '../../repository/backups/manifest';
import { type ObjectStore, s3ObjectStore } from '../../repository/objects/object-store';
import { blockMapKey } from '../../repository/objects/keys';
import { type Fixtures, type Times } from '../../sandbox/aws/config';
import { REGION, SHOP_BUCKET, shopFixtures } from '../../sandbox/aws/fixtures';
import { startAwsEndpoint } from '../../sandbox/aws/start';

/** An AWS account in the endpoint of the sandbox, with state of its own and instances that boot nothing. */
export interface TestAccount {
  clients: AwsClients;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  repository: RepositoryAddress;
  /** A repository that nothing was written to: a prefix of its own in the bucket. */
  newRepository(): { address: RepositoryAddress; store: ObjectStore };
  /** Where the endpoint keeps everything, objects among it. */
  directory: string;
  /** `address:port` of the hosted zones' server. */
  dnsServer: string;
  close(): Promise<void>;
}

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIATESTTESTTESTTEST', AWS_SECRET_ACCESS_KEY: 'test-secret' };

export async function startTestAccount(
  /** Sees every call, and can answer in the endpoint's stead. */
  intercept?: NonNullable<Parameters<typeof startAwsEndpoint>[1]>['intercept'],
  /** Seconds, in the place of those below. */
  times: Partial<Times> = {},
  /** What is there at the beginning. */
  fixtures: Fixtures = shopFixtures(),
): Promise<TestAccount> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-aws-'));
  const { endpoint, dns, close } = await startAwsEndpoint(
    {
      directory,
      listen: { host: '127.0.0.1', port: 0 },
      dns: { host: '127.0.0.1', port: 0 },
      region: REGION,
      accessKeyId: KEYS.AWS_ACCESS_KEY_ID,
      secretAccessKey: KEYS.AWS_SECRET_ACCESS_KEY,
      network: { id: '000000', runDirectory: directory },
      loopbackOctet: 1,
      deviceDirectory: join(directory, 'devices'),
      runner: 'no-boot',
      // Quick, but not at once: states that nobody waits for are states that nobody has tested.
      times: {
        instanceStart: 0.05,
        instanceStop: 0.05,
        volumeCreate: 0.05,
        volumeAttach: 0.05,
        rootReplace: 0.05,
        snapshotComplete: 0.05,
        dnsPropagation: 0.1,
        ...times,
      },
      fixtures,
    },
    { intercept },
  );
  Object.assign(process.env, KEYS);
  // The endpoint has no limits, so that tests need not wait for any.
  const clients = awsClients({ region: REGION, endpoint, budgets: new RequestBudgets({ speed: 1000 }) });
  const s3 = s3Client({ region: REGION, endpoint });
  const objectStore = (address: RepositoryAddress): ObjectStore => s3ObjectStore(s3, address);
  const repository = { bucket: SHOP_BUCKET, prefix: '', region: REGION, endpoint };
  let repositories = 0;
  return {
    clients,
    objectStore,
    repository,
    newRepository() {
      repositories += 1;
      const address = { ...repository, prefix: `test-${repositories}/` };
      return { address, store: objectStore(address) };
    },
    directory,
    dnsServer: dns,
    async close() {
      for (const client of [...Object.values(clients), s3] as { destroy(): void }[]) client.destroy();
      await close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Makes the run the one that holds its plan's state, whoever held it before. */
export async function letHold(store: ObjectStore, run: RunContext): Promise<RunContext> {
  const { plan, digest, runId, generation } = run;
  const state: PlanState = {
    plan,
    digest,
    runId,
    generation,
    phase: 'protected',
    updatedAt: new Date().toISOString(),
  };
  await store.put(`state/${plan}.json`, Buffer.from(JSON.stringify(state)));
  return run;
}

/** The sample application's plan, normalized. */
export function shopPlan(): DrPlan {
  const vm = (name: string, last: number, dependsOn: string[]): DrPlan['vms'][number] => ({
    name,
    instanceTypes: ['m6i.large'],
    dependsOn,
    hostNames: [`${name}.shop.internal`],
    readiness: { tcp: 80, timeout: 300 },
    primaryAddress: `192.168.10.${last}`,
  });
  const fixtures = shopFixtures();
  const [production, test] = fixtures.subnets;
  const [productionGroup, testGroup] = fixtures.securityGroups;
  return {
    name: 'shop',
    primarySite: { hypervisor: 'local' },
    recoverySite: {
      region: REGION,
      production: { subnet: production!.id, securityGroups: [productionGroup!.id], publicAddress: true },
      test: { subnet: test!.id, securityGroups: [testGroup!.id], publicAddress: false },
    },
    repository: {
      bucket: SHOP_BUCKET,
      prefix: '',
      retention: { keepLast: 30, keepDaily: 14, keepWeekly: 8, keepMonthly: 0 },
    },
    replication: { frequency: 3600, copy: 'direct' },
    vms: [vm('db', 30, []), vm('web', 20, ['db'])],
  };
}

/** The manifest of a backup of a VM with these disks. */
export function manifestOf(
  vm: string,
  { recoveryPoint, takenAt }: { recoveryPoint: string; takenAt: string },
  disks: DiskConfiguration[],
): BackupManifest {
  return {
    version: 1,
    vm,
    backupId: recoveryPoint,
    takenAt,
    consistency: 'crash',
    configuration: {
      cpus: 1,
      memoryMiB: 512,
      firmware: 'bios',
      nics: [{ network: 'dc', mac: '52:54:00:00:00:01' }],
      guestOs: 'debian12-64',
      disks,
    },
    disks: disks.map(({ key, sizeBytes }) => ({
      key,
      sizeBytes,
      blockMap: blockMapKey(vm, recoveryPoint, key),
      blockMapSha256: '0'.repeat(64),
      dataBlocks: 0,
      storedBlocks: 0,
      storedBytes: 0,
    })),
  };
}
