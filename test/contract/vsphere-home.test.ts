import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmExistsError } from '../../hypervisor/port';
import { disksOf } from '../../hypervisor/vsphere/devices';
import { type Rule } from '../../sandbox/vcenter/control';
import { describeWithVcenter } from '../support/describe-with-vcenter';
import { eventually } from '../support/eventually';
import { contents, onDisk, write } from './hypervisor-contract';
import { startVsphereSite, type VsphereSite } from './vsphere-site';
import { attachedFiles } from './vsphere-vms';
import { bringHome, DISKS, HARDWARE, MARK, VM } from './vsphere-homecoming';

const SOME_UUID = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;
const [SYSTEM, DATA] = DISKS as [(typeof DISKS)[0], (typeof DISKS)[0]];

describeWithVcenter('bringing a VM home to vSphere', () => {
  let site: VsphereSite;
  beforeAll(async () => {
    site = await startVsphereSite();
  });
  afterAll(() => site.remove());
  afterEach(async () => {
    await site.vcenter.control.setRules([]);
    await site.afresh().deleteVm(VM);
  });

  it('makes a VM with its disks, as often as it is asked to, and removes it', async () => {
    const hypervisor = site.afresh();
    for (let i = 0; i < 2; i++) {
      await hypervisor.createVm(VM, HARDWARE, MARK);
      for (const disk of DISKS) await hypervisor.addDisk(VM, disk);
    }
    const described = {
      ...HARDWARE,
      displayName: VM,
      identity: SOME_UUID,
      disks: DISKS,
      power: 'off',
      mark: MARK,
    };
    expect(await hypervisor.describeVm(VM)).toEqual(described);
    await expect(hypervisor.addDisk(VM, { ...SYSTEM, sizeBytes: 1024 })).rejects.toThrow(
      'and not 1024 bytes',
    );
    await expect(hypervisor.addDisk(VM, { ...SYSTEM, slot: 3 })).rejects.toThrow('at another place');
    await expect(hypervisor.addDisk(VM, { ...SYSTEM, key: 'c', slot: 3 })).rejects.toThrow(
      'to boot from already',
    );
    await expect(hypervisor.addDisk(VM, { ...DATA, key: 'c' })).rejects.toThrow('another disk at pvscsi 0:1');
    await expect(hypervisor.addDisk(VM, { ...DATA, key: 'c', slot: 7 })).rejects.toThrow(
      'no disk can be there',
    );

    const expected = Buffer.alloc(SYSTEM.sizeBytes);
    const held = await hypervisor.openDisk(VM, SYSTEM.key);
    await onDisk(await site.afresh().openDisk(VM, SYSTEM.key), (file) =>
      write(file, expected, SYSTEM.sizeBytes - 512, 512, 0x5a),
    );
    await expect(hypervisor.powerOn(VM)).rejects.toThrow(/locked|in use/i);
    await held.close();
    await onDisk(await hypervisor.openDisk(VM, SYSTEM.key), async (file) =>
      expect((await contents(file)).equals(expected)).toBe(true),
    );
    for (let i = 0; i < 2; i++) await hypervisor.powerOn(VM);
    await expect(hypervisor.openDisk(VM, SYSTEM.key)).rejects.toThrow('power it off first');
    await expect(hypervisor.configureVm(VM, { ...HARDWARE, cpus: 4 })).rejects.toThrow('power it off first');
    await expect(hypervisor.shutDown(VM, 1)).rejects.toThrow('has not shut down within 1 s');
    for (let i = 0; i < 2; i++) await hypervisor.deleteVm(VM);
    expect(await hypervisor.listVms()).toEqual(['backup-proxy']);
    expect(await attachedFiles(site)).toEqual([]);
  });

  it('leaves VMs alone that it did not make, and tells whose a VM is', async () => {
    const hypervisor = site.afresh();
    await hypervisor.createVm('db', HARDWARE, 'run 1');
    for (const mark of ['run 2', undefined])
      await expect(hypervisor.createVm('db', HARDWARE, mark)).rejects.toThrow(VmExistsError);
    await hypervisor.deleteVm('db');
    await expect(hypervisor.deleteVm('backup-proxy')).rejects.toThrow('was not made by Lifeboat');
    expect((await hypervisor.describeVm('backup-proxy')).power).toBe('running');
  });

  it('puts VMs at their paths, under names with slashes and per cents, and by instance UUID', async () => {
    const { client, inventory } = site;
    const hypervisor = site.afresh();
    const { vmFolder } = await client.get(await inventory.datacenter(), 'vmFolder');
    if (vmFolder === undefined) throw new Error('The simulated data centre is not whole.');
    for (const name of ['Prod', 'Test']) await client.call('CreateFolder', vmFolder, { name });
    const paths = ['/DC0/vm/Prod/SQL a%2fb%25 01', '/DC0/vm/Test/SQL a%2fb%25 01'];
    for (const path of paths) {
      await hypervisor.createVm(path, HARDWARE, path);
      await hypervisor.addDisk(path, SYSTEM);
    }
    for (const path of paths)
      expect(await hypervisor.describeVm(path)).toMatchObject({ mark: path, displayName: 'SQL a/b% 01' });
    const uuid = '503c2a4e-4f5e-4ad5-8a5b-0b6a5f5e7c11';
    const configuration = { ...HARDWARE, displayName: 'x'.repeat(80) };
    for (let i = 0; i < 2; i++) await hypervisor.createVm(uuid, configuration, 'run 1');
    expect(await hypervisor.describeVm(uuid)).toEqual({
      ...configuration,
      identity: uuid,
      disks: [],
      power: 'off',
      mark: 'run 1',
    });
    await expect(
      hypervisor.createVm('503c2a4e-4f5e-4ad5-8a5b-0b6a5f5e7c22', configuration, 'run 1'),
    ).rejects.toThrow(VmExistsError);
    await expect(hypervisor.createVm('/DC0/vm/None/web', HARDWARE)).rejects.toThrow(
      'vCenter has no folder "/DC0/vm/None"',
    );
    for (const vm of [...paths, uuid]) await hypervisor.deleteVm(vm);
    expect(await hypervisor.listVms()).toEqual(['backup-proxy']);
  });

  it('tells all networks that are missing at once, and puts cards on those that the settings name', async () => {
    const nics = ['old A', 'old B', 'VM Network'].map((network, index) => ({
      network,
      mac: `00:50:56:00:00:0${index}`,
    }));
    const hypervisor = site.afresh();
    await expect(hypervisor.createVm(VM, { ...HARDWARE, nics })).rejects.toThrow(
      /"old A".*"old B".*Its networks: /,
    );
    const networks = { 'old A': 'DC0_DVPG0', 'old B': 'VM Network' };
    const mapped = site.afresh({ networks });
    await mapped.createVm(VM, { ...HARDWARE, nics });
    const there = [
      { network: 'DC0_DVPG0', mac: '00:50:56:00:00:00' },
      { network: 'VM Network', mac: '00:50:56:00:00:01' },
      { network: 'VM Network', mac: '00:50:56:00:00:02' },
    ];
    expect((await mapped.describeVm(VM)).nics).toEqual(there);
    for (let i = 0; i < 2; i++) await mapped.configureVm(VM, { ...HARDWARE, nics: nics.slice(1) });
    expect((await mapped.describeVm(VM)).nics).toEqual([
      { network: 'VM Network', mac: '00:50:56:00:00:01' },
      { network: 'VM Network', mac: '00:50:56:00:00:02' },
    ]);
    await mapped.deleteVm(VM);
  });

  it('keeps addresses that vCenter lets a VM have, and gives others new ones', async () => {
    const hypervisor = site.afresh();
    const macs = ['00:50:56:3f:ff:ff', '00:50:56:80:00:01', '02:00:00:00:00:01'];
    await hypervisor.createVm(VM, {
      ...HARDWARE,
      nics: macs.map((mac) => ({ network: 'VM Network', mac })),
    });
    const { nics } = await hypervisor.describeVm(VM);
    expect(nics.slice(0, 2).map(({ mac }) => mac)).toEqual(macs.slice(0, 2));
    expect(nics[2]?.mac).not.toBe(macs[2]);
    await hypervisor.deleteVm(VM);
  });

  it('makes the controllers that disks were on, and puts the disks at their places', async () => {
    const hypervisor = site.afresh();
    const disks = [
      { ...SYSTEM, controller: { kind: 'pvscsi' as const, bus: 1 } },
      { ...DATA, controller: { kind: 'lsisas' as const, bus: 2 } },
      {
        key: 'more',
        sizeBytes: 2 ** 20,
        slot: 29,
        boot: false,
        controller: { kind: 'sata' as const, bus: 0 },
      },
      {
        key: 'fast',
        sizeBytes: 2 ** 20,
        slot: 3,
        boot: false,
        controller: { kind: 'nvme' as const, bus: 1 },
      },
    ];
    await hypervisor.createVm(VM, HARDWARE);
    for (const disk of disks) await hypervisor.addDisk(VM, disk);
    expect((await hypervisor.describeVm(VM)).disks).toEqual(disks);
    await expect(
      hypervisor.addDisk(VM, { ...DATA, key: 'c', controller: { kind: 'buslogic', bus: 2 } }),
    ).rejects.toThrow('has a lsisas controller as number 2');
    await hypervisor.deleteVm(VM);
  });

  it('keeps a disk that somebody has attached to a VM which it removes', async () => {
    const hypervisor = site.afresh();
    for (const vm of [VM, 'other']) {
      await hypervisor.createVm(vm, HARDWARE);
      await hypervisor.addDisk(vm, SYSTEM);
    }
    const { client, inventory } = site;
    const theirs = (await client.get(await inventory.vm('other'), 'config')).config;
    const [disk] = disksOf(theirs?.hardware.device ?? []);
    const web = await inventory.vm(VM);
    const [own] = disksOf((await client.get(web, 'config')).config?.hardware.device ?? []);
    if (disk === undefined || own === undefined) throw new Error('The VMs have no disks.');
    await client.run('ReconfigVM_Task', web, {
      spec: {
        deviceChange: [
          {
            operation: 'add',
            device: { ...disk.device, key: -1, controllerKey: own.device.controllerKey, unitNumber: 5 },
          },
        ],
      },
    });
    await hypervisor.deleteVm(VM);
    await onDisk(await hypervisor.openDisk('other', SYSTEM.key), async (file) =>
      expect((await contents(file)).length).toBe(SYSTEM.sizeBytes),
    );
    await hypervisor.deleteVm('other');
  });

  it("reads the end of a guest's console where a serial port writes into a file, and nothing where none does", async () => {
    const hypervisor = site.afresh();
    await hypervisor.createVm(VM, HARDWARE);
    expect(await hypervisor.consoleOutput(VM)).toBe('');
    const { client, inventory } = site;
    const file = 'console a%b.log';
    await client.run('ReconfigVM_Task', await inventory.vm(VM), {
      spec: {
        deviceChange: [
          {
            operation: 'add',
            device: {
              $type: 'VirtualSerialPort',
              key: -1,
              yieldOnPoll: true,
              backing: { $type: 'VirtualSerialPortFileBackingInfo', fileName: `[LocalDS_0] ${VM}/${file}` },
            },
          },
        ],
      },
    });
    const path = join(site.vcenter.datastoreDirectory, VM, file);
    await writeFile(path, `${'x'.repeat(70_000)}\nlogin: `);
    const text = await hypervisor.consoleOutput(VM);
    expect(text).toHaveLength(64 * 1024);
    expect(text.endsWith('x\nlogin: ')).toBe(true);
    await rm(path);
    expect(await hypervisor.consoleOutput(VM)).toBe('');
  });

  /** Each call of the way home that changes something, by its number there: killed before vCenter does it, or after. */
  const KILLS: [
    call: string,
    rule: Omit<Rule, 'name' | 'times' | 'when'> & { proxy?: boolean },
    what: 'home' | 'undo',
  ][] = [
    ['2, the VM is made', { method: 'CreateVM_Task' }, 'home'],
    ['3, the first disk is made', { method: 'ReconfigVM_Task' }, 'home'],
    ['3, its key is written down', { method: 'ReconfigVM_Task', skip: 1 }, 'home'],
    ['3, the second disk is made', { method: 'ReconfigVM_Task', skip: 2 }, 'home'],
    ['4, a disk is attached to the proxy', { method: 'ReconfigVM_Task', proxy: true }, 'home'],
    ['4, it is detached', { method: 'ReconfigVM_Task', proxy: true, skip: 1 }, 'home'],
    ['5, the other is attached', { method: 'ReconfigVM_Task', proxy: true, skip: 2 }, 'home'],
    ['6, the VM gets its hardware', { method: 'ReconfigVM_Task', skip: 7 }, 'home'],
    ['7, the VM is started', { method: 'PowerOnVM_Task' }, 'home'],
    ['8, the VM is stopped', { method: 'PowerOffVM_Task' }, 'undo'],
    ['8, the VM is removed', { method: 'Destroy_Task' }, 'undo'],
  ];
  const table = KILLS.flatMap(([call, rule, what]) =>
    (['before', 'after'] as const)
      // One way is enough of calls that only repeat what another has shown.
      .filter((when) => when === 'after' || rule.skip === undefined)
      .map((when) => ({ call, rule, what, when })),
  );

  it.each(table)(
    'goes on after a SIGKILL $when call $call',
    async ({ rule: { proxy, ...rule }, what, when }) => {
      const { control } = site.vcenter;
      if (what === 'undo') await bringHome(site.afresh());
      const object = proxy === true ? await control.find('backup-proxy') : undefined;
      await control.setRules([
        { ...rule, ...(object && { object }), name: 'kill', times: 1, when, hold: true },
      ]);
      const child = startChild(what);
      const ended = once(child, 'exit');
      try {
        const struck = async () => ((await control.struck()).kill ?? 0) > (rule.skip ?? 0) || undefined;
        await eventually(20, struck, 0.05);
      } finally {
        child.kill('SIGKILL');
      }
      await ended;
      await control.setRules([]);

      const hypervisor = site.afresh();
      // As Temporal does; what vCenter was told before goes on meanwhile.
      if (what === 'home') {
        await withRetries(() => bringHome(hypervisor));
        expect(await hypervisor.describeVm(VM)).toEqual({
          ...HARDWARE,
          displayName: VM,
          identity: SOME_UUID,
          cpus: 2,
          disks: DISKS,
          power: 'running',
          mark: MARK,
        });
        await hypervisor.powerOff(VM);
        for (const [index, { key, sizeBytes }] of DISKS.entries())
          await onDisk(await hypervisor.openDisk(VM, key), async (file) => {
            const expected = Buffer.alloc(sizeBytes).fill(0x40 + index, sizeBytes - 512);
            expect((await contents(file)).equals(expected)).toBe(true);
          });
      }
      await withRetries(() => hypervisor.deleteVm(VM));
      expect(await hypervisor.listVms()).toEqual(['backup-proxy']);
      expect(await attachedFiles(site)).toEqual([]);
      expect(await readdir(site.vcenter.deviceDirectory)).toEqual([]);
      // vCenter may still be at what the killed process told it to.
      const gone = async () => !(await readdir(site.vcenter.datastoreDirectory)).includes(VM) || undefined;
      await eventually(10, gone, 0.05);
    },
  );

  function startChild(what: 'home' | 'undo'): ChildProcess {
    const runner = join(__dirname, '../support/run-typescript.mjs');
    const script = join(__dirname, 'vsphere-homecoming.ts');
    const args = [runner, script, site.settingsFile, site.stateDirectory, what];
    return spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  }
});

async function withRetries(work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      return await work();
    } catch (error) {
      if (tries === 5) throw error;
      await sleep(200);
    }
}
