import { readdir } from 'node:fs/promises';
import { MACHINE_CONTROLLERS } from '../../machines/hardware';
import { PROXY_NAME } from '../../sandbox/vcenter/simulator';
import { describeWithVcenter } from '../support/describe-with-vcenter';
import { holdContract } from './hold-contract';
import { type AdapterTraits, hypervisorContract } from './hypervisor-contract';
import { startVsphereSite, type VsphereSite } from './vsphere-site';
import { attachedFiles } from './vsphere-vms';

describeWithVcenter('the hypervisor vSphere, simulated', () => {
  // One vCenter for all: what a test leaves there is found by the next.
  let site: VsphereSite;
  beforeAll(async () => {
    site = await startVsphereSite();
  });
  afterAll(() => site.remove());

  const traits: AdapterTraits = {
    refusedNames: ['../web', '', 'a/b', '.', 'a\0b', 'x'.repeat(200), 'web\n', '/DC0/vm/'],
    takenNames: ['SQL PROD 01', 'x'.repeat(80), 'a%2fb%25c%5c', '503c2a4e-4f5e-4ad5-8a5b-0b6a5f5e7c11'],
    controllers: [...MACHINE_CONTROLLERS],
    network: 'VM Network',
    guestOs: 'debian12_64Guest',
  };
  const setUp = () =>
    Promise.resolve({
      hypervisor: site.afresh(),
      afresh: () => site.afresh(),
      others: [PROXY_NAME],
      writeAsGuest: site.vcenter.writeAsGuest,
      async remove() {
        const hypervisor = site.afresh();
        for (const vm of await hypervisor.listVms()) if (vm !== PROXY_NAME) await hypervisor.deleteVm(vm);
        expect(await attachedFiles(site)).toEqual([]);
        expect(await readdir(site.vcenter.deviceDirectory)).toEqual([]);
        expect(await readdir(site.vcenter.datastoreDirectory)).toEqual([PROXY_NAME]);
      },
    });
  hypervisorContract(traits, setUp);
  holdContract(traits, setUp);
});
