import { copyFileSync, mkdtempSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BLOCK_SIZE } from '../../blocks/port';
import { toolOutput } from '../../host/run-tool';
import { guestAdapter } from '../../guest/adapter';
import { type AdaptationReport } from '../../guest/port';
import { type BackupDisk, withBackupDisks } from '../../repository/devices/backup-disks';
import { backUpFiles, BACKUP_ID } from '../support/backed-up-disks';
import { MemoryObjectStore } from '../support/memory-object-store';
import { VM } from '../support/small-backups';
import { listing, makeDataDisk, makeGuest, removeFixtures } from '../unit/guest-fixture';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-adapted-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));
afterAll(removeFixtures);

/** Adapts a guest, or takes it home again. */
type Change = (system: string, data: string) => Promise<AdaptationReport>;
const adapter = guestAdapter();
const adapt: Change = (diskPath, data) =>
  adapter.adaptForRecoverySite({
    diskPath,
    dataDisks: [{ diskPath: data, slot: 1 }],
    bootScripts: [{ name: 'web.sh', content: Buffer.from('#!/bin/sh\necho web\n') }],
    hosts: [{ address: '10.0.1.30', names: ['db', 'db.shop.example'] }],
    runId: 'run-1',
  });
const revert: Change = (diskPath, data) =>
  adapter.revertForPrimarySite(diskPath, { dataDisks: [{ diskPath: data, slot: 1 }] });

/**
 * Changes the guest on its backup's disks.
 * @returns the report, and the system disk as it was with only those blocks replaced that are said to be written
 */
async function onBackup(system: string, data: string, change: Change) {
  const store = new MemoryObjectStore();
  await backUpFiles(store, { system, data });
  const changed = join(directory, 'changed.raw');
  copyFileSync(system, changed);
  const where = { store, vm: VM, recoveryPoint: BACKUP_ID, directory, largestBytes: 2 ** 30 };
  const report = await withBackupDisks(where, async (disks) => {
    const disk = disks.get('system')!;
    const found = await change(disk.path, disks.get('data')!.path);
    await copyWritten(disk, changed);
    expect(await disks.get('data')!.writtenBlocks()).toEqual([]);
    const whole = join(directory, 'whole.raw');
    await toolOutput('cp', [disk.path, whole]);
    expect((await readFile(whole)).equals(await readFile(changed))).toBe(true);
    return found;
  });
  return { report, changed };
}

async function copyWritten(disk: BackupDisk, path: string): Promise<void> {
  const [from, to] = [await open(disk.path, 'r'), await open(path, 'r+')];
  try {
    for (const index of await disk.writtenBlocks()) {
      const { buffer, bytesRead } = await from.read(
        Buffer.alloc(BLOCK_SIZE),
        0,
        BLOCK_SIZE,
        index * BLOCK_SIZE,
      );
      await to.write(buffer, 0, bytesRead, index * BLOCK_SIZE);
    }
  } finally {
    await from.close();
    await to.close();
  }
}

it('A guest is adapted on its backup as on a copy of its disk, and taken home likewise', async () => {
  const [original, data] = [makeGuest(), makeDataDisk()];
  const plain = join(directory, 'plain.raw');
  copyFileSync(original, plain);
  const there = await onBackup(original, data, adapt);
  expect(there.report).toEqual(await adapt(plain, data));
  expect(there.report.changed).not.toEqual([]);
  expect(listing(there.changed)).toEqual(listing(plain));

  const adapted = join(directory, 'adapted.raw');
  copyFileSync(there.changed, adapted);
  const home = await onBackup(adapted, data, revert);
  expect(home.report).toEqual(await revert(plain, data));
  expect(listing(home.changed)).toEqual(listing(plain));
});
