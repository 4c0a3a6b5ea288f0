import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, openAccount } from '../../../sandbox/aws/account';
import { REGION, shopFixtures, SHOP_BUCKET } from '../../../sandbox/aws/fixtures';
import { type AccountView } from '../../../sandbox/aws/iam/calls/mapping';
import { createFixtures } from '../../../sandbox/aws/resume';
import { noBootRunner } from '../../../sandbox/aws/runner/no-boot';
import { BucketStore } from '../../../sandbox/aws/s3/buckets';
import {
  type ImageRecord,
  type InstanceRecord,
  type SnapshotRecord,
  type Tags,
  type VolumeRecord,
} from '../../../sandbox/aws/state/records';

/** A key of the customer's. */
export const KEY = `arn:aws:kms:${REGION}:000000000000:key/4c0ffee0-0000-4000-8000-000000000001`;

const id = (prefix: string, number: number): string => `${prefix}-0${String(number).padStart(16, '0')}`;

/** An account with a few resources by their records alone: for what looks at tags and ids, and does nothing. */
export class SmallAccount {
  readonly account: Account;
  readonly view: AccountView;
  private readonly directory = mkdtempSync(join(tmpdir(), 'lifeboat-iam-'));
  private number = 0;

  constructor() {
    const config = {
      directory: this.directory,
      listen: { host: '127.0.0.1', port: 0 },
      dns: { host: '127.0.0.1', port: 0 },
      region: REGION,
      accessKeyId: 'AKIATEST',
      secretAccessKey: 'secret',
      network: { id: 'unit', runDirectory: this.directory },
      loopbackOctet: 99,
      deviceDirectory: this.directory,
      runner: 'no-boot' as const,
      fixtures: { ...shopFixtures(), kmsKeys: { [KEY]: 'Enabled' as const } },
    };
    this.account = openAccount(config, noBootRunner(config), () => {});
    createFixtures(this.account, config.fixtures);
    const buckets = new BucketStore(join(this.directory, 's3'));
    buckets.create(SHOP_BUCKET);
    this.view = { account: this.account, buckets };
  }

  close(): void {
    rmSync(this.directory, { recursive: true });
  }

  snapshot(tags: Tags = {}, more: Partial<SnapshotRecord> = {}): string {
    return this.account.snapshots.put({
      ...this.common('snap', tags),
      state: 'completed',
      volumeId: 'vol-ffffffff',
      sizeGiB: 1,
      description: '',
      encrypted: more.kmsKeyId !== undefined,
      startedAt: '2026-11-30T00:00:00.000Z',
      lineage: 'l',
      layer: 'l',
      ...more,
    }).id;
  }

  volume(tags: Tags = {}, more: Partial<VolumeRecord> = {}): string {
    return this.account.volumes.put({
      ...this.common('vol', tags),
      state: 'available',
      sizeGiB: 1,
      availabilityZone: `${REGION}a`,
      encrypted: more.kmsKeyId !== undefined,
      volumeType: 'gp3',
      lineage: 'l',
      ...more,
    }).id;
  }

  image(tags: Tags = {}, more: Partial<ImageRecord> = {}): string {
    return this.account.images.put({
      ...this.common('ami', tags),
      name: `image-${this.number}`,
      description: '',
      architecture: 'x86_64',
      rootDeviceName: '/dev/sda1',
      enaSupport: true,
      blockDevices: [],
      ...more,
    }).id;
  }

  instance(tags: Tags = {}, more: Partial<InstanceRecord> = {}): string {
    return this.account.instances.put({
      ...this.common('i', tags),
      reservationId: 'r-1',
      launchIndex: 0,
      state: 'running',
      stateTransitionReason: '',
      imageId: 'ami-ffffffff',
      instanceType: 'm6i.large',
      subnetId: this.account.config.fixtures.subnets[0]!.id,
      securityGroups: [],
      privateAddress: '10.0.1.9',
      wantsPublicAddress: false,
      launchedAt: '2026-11-30T00:00:00.000Z',
      rootDeviceName: '/dev/sda1',
      architecture: 'x86_64',
      sourceDestCheck: true,
      disableApiTermination: false,
      shutdownBehavior: 'stop',
      ...more,
    }).id;
  }

  private common(prefix: string, tags: Tags): { id: string; tags: Tags; createdAt: string } {
    this.number += 1;
    return { id: id(prefix, this.number), tags, createdAt: '2026-11-30T00:00:00.000Z' };
  }
}
