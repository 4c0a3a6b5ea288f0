import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../../blocks/port';
import {
  listBackups,
  openBlockMap,
  newestManifest,
  putOnce,
  readManifest,
  writeManifest,
} from '../../repository/backups/backups';
import { DamagedObjectError } from '../../repository/objects/json-object';
import {
  blockMapKey,
  InvalidNameError,
  MAX_OBJECT_KEY_BYTES,
  manifestKey,
  mapPagesKey,
  packKey,
  parseMapPagesKey,
  parsePackKey,
} from '../../repository/objects/keys';
import { type BackupManifest } from '../../repository/backups/manifest';
import { MapDirectoryBuilder } from '../../repository/maps/map-directory';
import { ConflictError } from '../../repository/objects/object-store';
import { MemoryObjectStore } from '../support/memory-object-store';

const ID = '20261123T181500Z-0123abcd';
const LATER = '20261124T000000Z-00000000';
const SIZE = 4 * BLOCK_SIZE;

function emptyMap(): Buffer {
  return new MapDirectoryBuilder(SIZE).finish({ storedBlocks: 0, storedBytes: 0 });
}

function manifest(change: Partial<BackupManifest> = {}): BackupManifest {
  return {
    version: 1,
    vm: 'db',
    backupId: ID,
    takenAt: '2026-11-23T18:15:00.000Z',
    consistency: 'crash',
    configuration: {
      cpus: 2,
      memoryMiB: 512,
      firmware: 'bios',
      nics: [{ network: 'dc', mac: '52:54:00:00:00:01' }],
      guestOs: 'debian12',
      disks: [{ key: 'system', sizeBytes: SIZE, slot: 0, boot: true }],
    },
    disks: [
      {
        key: 'system',
        sizeBytes: SIZE,
        blockMap: blockMapKey('db', ID, 'system'),
        blockMapSha256: hash('sha256', emptyMap()),
        dataBlocks: 0,
        storedBlocks: 0,
        storedBytes: 0,
      },
    ],
    ...change,
  };
}

let store: MemoryObjectStore;
beforeEach(() => (store = new MemoryObjectStore()));
const stored = (content: unknown): Promise<void> =>
  store.put(manifestKey('db', ID), Buffer.from(JSON.stringify(content)));

describe('manifests', () => {
  it('make the backups that count, the newest by its id', async () => {
    await writeManifest(store, manifest());
    await store.put(blockMapKey('db', LATER, 'system'), emptyMap());
    expect(await listBackups(store, 'db')).toEqual([ID]);
    expect(await newestManifest(store, 'db')).toEqual(manifest());
    expect(await newestManifest(store, 'db', ID)).toBeUndefined();
    expect(await newestManifest(store, 'web')).toBeUndefined();
  });

  it('may be written twice, but not changed', async () => {
    await writeManifest(store, manifest());
    await writeManifest(store, manifest());
    await expect(writeManifest(store, manifest({ consistency: 'powered-off' }))).rejects.toThrow(
      ConflictError,
    );
  });

  it.each<[string, unknown]>([
    ['no JSON object', 'x'],
    ["another VM's", manifest({ vm: 'web' })],
    ["another backup's", manifest({ backupId: LATER })],
    [
      'a map that lies elsewhere',
      manifest({ disks: [{ ...manifest().disks[0]!, blockMap: 'web/../secret' }] }),
    ],
    [
      'other disks than configured',
      manifest({ disks: [{ ...manifest().disks[0]!, sizeBytes: SIZE + 512 }] }),
    ],
    ['a disk twice', manifest({ disks: [manifest().disks[0]!, manifest().disks[0]!] })],
    ['no disk', manifest({ disks: [] })],
    ['a disk key that is a path', { ...manifest(), disks: [{ ...manifest().disks[0]!, key: '../x' }] }],
    ['a time that is none', manifest({ takenAt: 'yesterday' })],
  ])('are refused: %s', async (_, content) => {
    await stored(content);
    await expect(readManifest(store, 'db', ID)).rejects.toThrow(DamagedObjectError);
  });
});

describe('block maps of a manifest', () => {
  const disk = manifest().disks[0]!;
  it('are those that it means, or refused', async () => {
    await expect(openBlockMap(store, 'db', disk)).rejects.toThrow(/missing/);
    await putOnce(store, disk.blockMap, emptyMap());
    expect((await openBlockMap(store, 'db', disk)).blocks).toBe(4);
    await expect(openBlockMap(store, 'db', { ...disk, dataBlocks: 1 })).rejects.toThrow(DamagedObjectError);
    await expect(openBlockMap(store, 'db', { ...disk, blockMapSha256: '0'.repeat(64) })).rejects.toThrow(
      /SHA-256/,
    );
    await expect(openBlockMap(store, 'db', { ...disk, storedBytes: 1 })).rejects.toThrow(DamagedObjectError);
    const garbage = Buffer.from('garbage');
    await store.put(disk.blockMap, garbage);
    const meant = { ...disk, blockMapSha256: hash('sha256', garbage) };
    await expect(openBlockMap(store, 'db', meant)).rejects.toThrow(DamagedObjectError);
  });
});

describe('keys', () => {
  it.each(['', '../x', 'a/b', 'Ä', 'x'.repeat(65)])('are made of no such disk key: %j', (key) => {
    expect(() => blockMapKey('db', ID, key)).toThrow(InvalidNameError);
    expect(() => packKey('db', ID, key, 0)).toThrow(InvalidNameError);
  });

  it('of packs and pages are read back, whatever the disk is called', () => {
    const parts = { vm: 'db-1', backupId: ID, disk: 'scsi0-1-2', n: 17 };
    expect(parsePackKey(packKey('db-1', ID, 'scsi0-1-2', 17))).toEqual(parts);
    expect(parseMapPagesKey(mapPagesKey('db-1', ID, 'scsi0-1-2', 17))).toEqual(parts);
    expect(parsePackKey(mapPagesKey('db-1', ID, 'scsi0-1-2', 17))).toBeUndefined();
    for (const key of ['db/packs/x', `db/packs/${ID}-a`, `/packs/${ID}-a-1`, `db/packs/${ID}-a-1/x`])
      expect(parsePackKey(key)).toBeUndefined();
  });

  it('are never longer than is allowed for', () => {
    const longest = packKey('v'.repeat(40), ID, 'd'.repeat(64), 999_999_999);
    expect(parsePackKey(longest)).toBeDefined();
    expect(longest.length).toBeLessThanOrEqual(MAX_OBJECT_KEY_BYTES);
  });
});
