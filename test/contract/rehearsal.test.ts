import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createBackupActivities } from '../../activities/backup-proxy/backup';
import { PlanLimits } from '../../activities/backup-proxy/plan-limits';
import { guestAdapter } from '../../guest/adapter';
import { type GuestAdapter } from '../../guest/port';
import { waitForEnd } from '../../host/pid-file';
import { readManifest } from '../../repository/backups/backups';
import { sealManifest } from '../../repository/backups/manifest';
import { manifestKey } from '../../repository/objects/keys';
import { KERNEL, makeDataDisk, makeGuest, removeFixtures } from '../unit/guest-fixture';
import { removeDisks } from '../unit/appliance-fixture';
import { GPT, makeWindowsDisk } from '../unit/windows-fixture';
import { idOf } from './copy-backup';
import { type CopySite, inActivity, startCopySite, VM } from './copy-site';

// Guests are really adapted, on exports by QEMU; those of Windows by the appliance, a machine that boots.
jest.setTimeout(180_000);

let site: CopySite;
beforeEach(async () => {
  site = await startCopySite((_call, handle) => handle());
});
afterEach(() => site.close());
afterAll(() => {
  removeFixtures();
  removeDisks();
});

const stateDirectory = (): string => join(site.directory, 'state');

function activities(adapter: GuestAdapter = guestAdapter()) {
  return createBackupActivities({
    hypervisor: site.hypervisor,
    objectStore: () => site.store,
    guestAdapter: adapter,
    limits: new PlanLimits(),
    stateDirectory: stateDirectory(),
  });
}

/** A backup as the workflow makes it. */
async function backUp(n: number, of = activities()) {
  const run = site.run;
  const id = idOf(n);
  const snapshot = await inActivity(of.snapshotVm, { run, vm: VM, backupId: id });
  const { disks } = snapshot.configuration;
  const guest = await inActivity(of.rehearseAdaptation, { run, vm: VM, backupId: id, disks });
  const copied = [];
  for (const { key } of disks)
    copied.push({ key, ...(await inActivity(of.backupDisk, { run, vm: VM, backupId: id, diskKey: key })) });
  return inActivity(of.finishBackup, { run, vm: VM, backupId: id, ...snapshot, disks: copied, guest });
}

const guest = async (n: number) => (await readManifest(site.store, VM, idOf(n)))?.guest;

/** Lets the rehearsal of a backup have been long ago. */
async function age(n: number, rehearsedAt: string): Promise<void> {
  const manifest = await readManifest(site.store, VM, idOf(n));
  const { sha256: _, ...rest } = manifest as typeof manifest & { sha256?: string };
  const aged = { ...rest, guest: { ...manifest!.guest!, rehearsedAt } };
  await site.store.put(manifestKey(VM, idOf(n)), sealManifest(aged));
}

describe('The rehearsal of an adaptation', () => {
  it('tells in the backup that EC2 can boot its guest, and leaves snapshot and host as they were', async () => {
    const system = readFileSync(makeGuest());
    site.hypervisor.setDisk('system', system);
    site.hypervisor.setDisk('data', readFileSync(makeDataDisk()));
    const result = await backUp(1);
    expect(result.guest).toMatchObject({
      outcome: 'adaptable',
      family: expect.stringContaining('Debian GNU/Linux 12') as string,
      kernels: [KERNEL],
    });
    expect(await guest(1)).toEqual(result.guest);
    expect(readFileSync(join(site.directory, `${idOf(1)}-system`)).equals(system)).toBe(true);
    expect(readdirSync(join(stateDirectory(), 'rehearsals'))).toEqual([]);
  });

  it('tells what is missing in a guest that EC2 cannot boot, and the backup is made all the same', async () => {
    const withoutEna = makeGuest({ [`usr/lib/modules/${KERNEL}/modules.dep`]: '' });
    site.hypervisor.setDisk('system', readFileSync(withoutEna));
    await backUp(1);
    const told = await guest(1);
    expect(told).toMatchObject({ outcome: 'not adaptable' });
    expect(told?.problem).toMatch(new RegExp(`Kernel ${KERNEL} .* ena`));
  });

  it('tells the same of a Windows, whose disk stays as it was', async () => {
    const windows = readFileSync(await makeWindowsDisk(GPT));
    site.hypervisor.setDisk('system', windows);
    site.hypervisor.setDisk('data', readFileSync(makeDataDisk()));
    await backUp(1);
    expect(await guest(1)).toMatchObject({
      outcome: 'adaptable',
      family: 'Windows Server 2019 Standard (build 17763)',
      warnings: [expect.stringMatching(/known only after a test failover/)],
    });
    expect(readFileSync(join(site.directory, `${idOf(1)}-system`)).equals(windows)).toBe(true);
    const hibernated = readFileSync(await makeWindowsDisk(GPT, { 'hiberfil.sys': 'hibr'.padEnd(8192) }));
    site.hypervisor.setDisk('system', hibernated);
    await age(1, '2026-11-23T00:00:00.000Z');
    await backUp(2);
    expect(await guest(2)).toMatchObject({
      outcome: 'not adaptable',
      problem: expect.stringMatching(/hibernated.*powercfg/) as string,
    });
  });

  it('does not call a guest adaptable whose scratch disk was lost meanwhile', async () => {
    site.hypervisor.setDisk('system', Buffer.alloc(2 ** 20, 1));
    const unaware: GuestAdapter = {
      ...guestAdapter(),
      async adaptForRecoverySite({ diskPath }) {
        const pid = Number(readFileSync(join(dirname(diskPath), 'pid'), 'utf8'));
        process.kill(pid, 'SIGKILL');
        expect(await waitForEnd(pid, stateDirectory(), 10_000)).toBe(true);
        return { family: 'any', kernels: [], modules: [], changed: [], warnings: [] };
      },
    };
    await backUp(1, activities(unaware));
    expect(await guest(1)).toMatchObject({
      outcome: 'unknown',
      problem: expect.stringMatching(/does not hold all/) as string,
    });
    expect(readdirSync(join(stateDirectory(), 'rehearsals'))).toEqual([]);
  });

  it('tells that a disk holds no system', async () => {
    site.hypervisor.setDisk('system', Buffer.alloc(2 ** 20, 1));
    await backUp(1);
    expect(await guest(1)).toMatchObject({
      outcome: 'not adaptable',
      problem: 'The boot disk has no partition table (MBR or GPT).',
    });
  });

  it('is not made again while a good one is young, and is when it is old or was not good', async () => {
    site.hypervisor.setDisk('system', readFileSync(makeGuest()));
    site.hypervisor.setDisk('data', readFileSync(makeDataDisk()));
    const { guest: first } = await backUp(1);
    expect((await backUp(2)).guest).toEqual(first);
    await age(2, '2026-11-23T00:00:00.000Z');
    const { guest: third } = await backUp(3);
    expect(third?.outcome).toBe('adaptable');
    expect(Date.parse(third!.rehearsedAt)).toBeGreaterThan(Date.parse(first!.rehearsedAt));
    site.hypervisor.setDisk('system', Buffer.alloc(2 ** 20, 1));
    await age(3, '2026-11-23T00:00:00.000Z');
    expect((await backUp(4)).guest?.outcome).toBe('not adaptable');
    site.hypervisor.setDisk('system', readFileSync(makeGuest()));
    expect((await backUp(5)).guest?.outcome).toBe('adaptable');
  });

  it('says so where it could not be made', async () => {
    const broken: GuestAdapter = {
      adaptForRecoverySite: () => Promise.reject(new Error('This host has no "debugfs".')),
      revertForPrimarySite: () => Promise.reject(new Error('not asked for')),
    };
    site.hypervisor.setDisk('system', readFileSync(makeGuest()));
    const result = await backUp(1, activities(broken));
    expect(result.guest).toMatchObject({ outcome: 'unknown', problem: 'This host has no "debugfs".' });
    expect(readdirSync(join(stateDirectory(), 'rehearsals'))).toEqual([]);
  });
});
