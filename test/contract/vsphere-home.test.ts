import { type DiskConfiguration, type VmConfiguration, VmExistsError } from '../../hypervisor/port';
import { describeWithVcenter, startVcenterSite, type VcenterSite } from './vcenter-site';
import { contents, onDisk, write } from './hypervisor-contract';

const HARDWARE: Omit<VmConfiguration, 'disks'> = {
  cpus: 1,
  memoryMiB: 64,
  firmware: 'bios',
  nics: [{ network: 'VM Network', mac: '00:50:56:00:00:01' }],
  guestOs: 'debian12_64Guest',
};

const ODD_SIZE = 5 * 1024 * 1024 + 3 * 512;
const SYSTEM: DiskConfiguration = { key: 'system', sizeBytes: ODD_SIZE, slot: 0, boot: true };

describeWithVcenter('bringing a VM home to vSphere', () => {
  let site: VcenterSite;
  beforeAll(async () => {
    site = await startVcenterSite();
  });
  afterAll(() => site.remove());

  it('makes a VM with its disks, as often as it is asked to, and removes it', async () => {
    const hypervisor = site.hypervisor();
    for (let i = 0; i < 2; i++) {
      await hypervisor.createVm('web', HARDWARE, 'run 1');
      await hypervisor.addDisk('web', SYSTEM);
    }
    expect(await hypervisor.describeVm('web')).toEqual({
      ...HARDWARE,
      disks: [SYSTEM],
      power: 'off',
      mark: 'run 1',
    });
    const expected = Buffer.alloc(ODD_SIZE);
    await onDisk(await hypervisor.openDisk('web', 'system'), (file) =>
      write(file, expected, ODD_SIZE - 512, 512, 0x5a),
    );
    await onDisk(await site.hypervisor().openDisk('web', 'system'), async (file) =>
      expect((await contents(file)).equals(expected)).toBe(true),
    );
    await expect(hypervisor.createVm('web', HARDWARE, 'run 2')).rejects.toThrow(VmExistsError);
    for (let i = 0; i < 2; i++) await hypervisor.powerOn('web');
    for (let i = 0; i < 2; i++) await hypervisor.deleteVm('web');
    expect(await hypervisor.listVms()).toEqual(['backup-proxy']);
  });
});
