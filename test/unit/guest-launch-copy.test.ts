import { guestAdapter } from '../../guest/adapter';
import { placeholderAddress, PLACEHOLDER_RUN_ID } from '../../guest/launch-data';
import { type RecoverySiteAdaptation } from '../../guest/port';
import { debugfs, listing, makeGuest, removeFixtures, text, write } from './guest-fixture';

const adapter = guestAdapter();
const DB = placeholderAddress(0);
const launchCopy = (
  diskPath: string,
  more: Partial<RecoverySiteAdaptation> = {},
): RecoverySiteAdaptation => ({
  diskPath,
  dataDisks: [],
  bootScripts: [{ name: 'web.sh', content: Buffer.from('#!/bin/sh\necho web\n') }],
  hosts: [{ address: DB, names: ['db'] }],
  runId: PLACEHOLDER_RUN_ID,
  launchCopy: true,
  ...more,
});
const guest = (changes: Parameters<typeof makeGuest>[0] = {}): string =>
  makeGuest({ 'usr/bin/curl': 'curl', ...changes });
const READER = '/var/lib/lifeboat/read-launch-data';
const UNIT = '/etc/systemd/system/lifeboat-launch.service';

afterAll(removeFixtures);

describe('a guest adapted for a launch copy', () => {
  it('reads its launch data at boot, before what uses the network and before its boot scripts', async () => {
    const disk = guest();
    const { changed } = await adapter.adaptForRecoverySite(launchCopy(disk));
    expect(changed).toContain(UNIT);
    const files = listing(disk);
    expect(files['/etc/systemd/system/multi-user.target.wants/lifeboat-launch.service']).toBe(
      'link ../lifeboat-launch.service',
    );
    expect(text(disk, UNIT)).toMatch(/\nBefore=network.target network-online.target .*lifeboat-boot.service/);
    expect(text(disk, '/etc/systemd/system/lifeboat-boot.service')).toMatch(
      /\nRequires=lifeboat-launch.service\nAfter=lifeboat-launch.service\n/,
    );
    expect(text(disk, READER)).toContain('/usr/bin/curl');
    expect(text(disk, '/var/lib/lifeboat/launch/hosts')).toBe(`${DB} db cache\n`);
    expect(text(disk, '/var/lib/lifeboat/launch/environment')).toBe(
      `export LIFEBOAT_RUN_ID=${PLACEHOLDER_RUN_ID}\nexport LIFEBOAT_ADDRESS_DB=${DB}\n`,
    );
    expect(text(disk, '/etc/hosts')).toContain(`\n${DB} db cache\n# END lifeboat\n`);
    await adapter.adaptForRecoverySite(launchCopy(disk));
    expect(listing(disk)).toEqual(files);
  });

  it('has its own names at its own address, whatever it calls itself', async () => {
    const disk = guest({ 'etc/hostname': 'web01\n' });
    const itself = { address: placeholderAddress(1), names: ['web'], self: true };
    await adapter.adaptForRecoverySite(launchCopy(disk, { hosts: [{ address: DB, names: ['db'] }, itself] }));
    expect(text(disk, '/var/lib/lifeboat/launch/hosts')).toBe(
      `${DB} db cache\n${placeholderAddress(1)} web web01\n`,
    );
    expect(text(disk, '/var/lib/lifeboat/launch/environment')).toContain(
      `export LIFEBOAT_ADDRESS_WEB=${placeholderAddress(1)}\n`,
    );
    await adapter.revertForPrimarySite(disk);
    expect(text(disk, '/etc/hosts')).toBe(
      '127.0.0.1 localhost\n192.168.10.30 db cache # the database\n192.168.10.20 web\n',
    );
  });

  it.each([
    ['without curl', { 'usr/bin/curl': undefined, 'usr/bin/bash': 'bash' }, 'timeout 10 /usr/bin/bash'],
    [
      'of RHEL 8',
      { 'usr/bin/curl': undefined, 'usr/libexec/platform-python': 'python' },
      '/usr/libexec/platform-python',
    ],
    ['with perl only', { 'usr/bin/curl': undefined, 'usr/bin/perl': 'perl' }, 'timeout 10 /usr/bin/perl'],
  ])('asks by what it has: a guest %s', async (_, changes, program) => {
    const disk = guest(changes);
    await adapter.adaptForRecoverySite(launchCopy(disk));
    expect(text(disk, READER)).toContain(program);
  });

  it('is refused where it has nothing to ask by', async () => {
    await expect(
      adapter.adaptForRecoverySite(launchCopy(guest({ 'usr/bin/curl': undefined }))),
    ).rejects.toThrow(/none of curl, bash, python3, perl.*Install curl/);
  });

  it('comes home as it was, whatever a boot had filled in', async () => {
    const disk = guest();
    const before = listing(disk);
    await adapter.adaptForRecoverySite(launchCopy(disk));
    write(disk, '/etc/hosts', text(disk, '/etc/hosts').replace(DB, '10.0.1.30'));
    write(disk, '/etc/hosts.lifeboat', 'cut off');
    write(disk, '/var/lib/lifeboat/launch/applied', 'lifeboat-launch 1\nrun shop-7\n');
    const environment = `/var/lib/lifeboat/boot.d/${PLACEHOLDER_RUN_ID}/environment`;
    write(disk, environment, text(disk, environment).replace(DB, '10.0.1.30'));
    debugfs(disk, [`mkdir /var/lib/lifeboat/boot.d/${PLACEHOLDER_RUN_ID}/status`]);
    const { warnings } = await adapter.revertForPrimarySite(disk);
    expect(listing(disk)).toEqual(before);
    expect(warnings).toEqual([]);
  });

  it('comes home as it was without ever having been launched, and without /etc/hosts', async () => {
    for (const changes of [{}, { 'etc/hosts': undefined }]) {
      const disk = guest(changes);
      const before = listing(disk);
      await adapter.adaptForRecoverySite(launchCopy(disk));
      await adapter.revertForPrimarySite(disk);
      expect(listing(disk)).toEqual(before);
    }
  });
});
