import { join } from 'node:path';
import { type AwsEndpointConfig, DEFAULT_TIMES, type Times } from './config';
import { type InstanceRunner } from './runner/runner';
import { Background } from './state/background';
import { Collection } from './state/collection';
import {
  type ImageRecord,
  type InstanceRecord,
  type RootReplacementRecord,
  type SnapshotRecord,
  type Tags,
  type VolumeRecord,
} from './state/records';
import { LayerStore } from './storage/layers';
import { MapStore } from './storage/maps';
import { VolumeFiles } from './storage/volumes';

/** The account that every identity of the sandbox is in. */
export const ACCOUNT_ID = '000000000000';

/** Tags of fixtures, which are no resources of their own here. */
export interface TaggedFixture {
  id: string;
  tags: Tags;
}

/** Everything that the EC2 and EBS operations work on. */
export interface Account {
  config: AwsEndpointConfig;
  times: Times;
  background: Background;
  runner: InstanceRunner;
  log: (message: string, error: unknown) => void;
  volumes: Collection<VolumeRecord>;
  snapshots: Collection<SnapshotRecord>;
  images: Collection<ImageRecord>;
  instances: Collection<InstanceRecord>;
  rootReplacements: Collection<RootReplacementRecord>;
  fixtureTags: Collection<TaggedFixture>;
  layers: LayerStore;
  maps: MapStore;
  volumeFiles: VolumeFiles;
}

export function openAccount(
  config: AwsEndpointConfig,
  runner: InstanceRunner,
  log: (message: string, error: unknown) => void,
): Account {
  const ec2 = join(config.directory, 'ec2');
  const storage = join(config.directory, 'storage');
  const layers = new LayerStore(join(storage, 'layers'));
  return {
    config,
    times: { ...DEFAULT_TIMES, ...config.times },
    background: new Background(log),
    runner,
    log,
    volumes: new Collection(join(ec2, 'volumes')),
    snapshots: new Collection(join(ec2, 'snapshots')),
    images: new Collection(join(ec2, 'images')),
    instances: new Collection(join(ec2, 'instances')),
    rootReplacements: new Collection(join(ec2, 'root-replacements')),
    fixtureTags: new Collection(join(ec2, 'fixture-tags')),
    layers,
    maps: new MapStore(join(storage, 'maps')),
    volumeFiles: new VolumeFiles(join(storage, 'volumes'), join(storage, 'staging'), layers),
  };
}

/**
 * Removes maps and layers that nothing needs any more: a deleted snapshot's data stays as long as a child, or a
 * volume made from it, refers to it. Synchronous, so that nothing can begin to refer to them meanwhile.
 */
export function collectGarbage(account: Account): void {
  const maps = new Set<string>();
  const layers = new Set<string>();
  for (const volume of account.volumes.all())
    if (volume.deletedAt === undefined && volume.baseMap !== undefined) maps.add(volume.baseMap);
  for (const snapshot of account.snapshots.all()) {
    if (snapshot.deletedAt !== undefined) continue;
    if (snapshot.map !== undefined) maps.add(snapshot.map);
    if (snapshot.copy?.baseMap !== undefined) maps.add(snapshot.copy.baseMap);
    if (snapshot.parentMap !== undefined) maps.add(snapshot.parentMap);
    if (snapshot.map === undefined) layers.add(snapshot.layer);
  }
  for (const id of account.maps.ids())
    if (!maps.has(id)) account.maps.delete(id);
    else for (const layer of account.maps.get(id)?.layers ?? []) layers.add(layer);
  for (const id of account.layers.ids()) if (!layers.has(id)) account.layers.delete(id);
}

/** Forgets what was deleted long enough ago: until then it answers for its client token. */
export function forgetDeleted(account: Account): void {
  const before = Date.now() - account.times.remember * 1000;
  for (const { id, terminatedAt } of account.instances.all())
    if (terminatedAt !== undefined && Date.parse(terminatedAt) < before) account.instances.delete(id);
  for (const { id, completedAt } of account.rootReplacements.all())
    if (completedAt !== undefined && Date.parse(completedAt) < before) account.rootReplacements.delete(id);
  for (const collection of [account.volumes, account.snapshots, account.images])
    for (const { id, deletedAt } of collection.all())
      if (deletedAt !== undefined && Date.parse(deletedAt) < before) collection.delete(id);
}

export const now = (): string => new Date().toISOString();
