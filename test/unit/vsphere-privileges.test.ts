import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { neededPrivileges, rolePrivileges } from '../../hypervisor/vsphere/privileges';
import { METHODS } from '../../hypervisor/vsphere/vim/schema';

const read = (...path: string[]): string => readFileSync(join(projectRoot(), ...path), 'utf8');
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describe('privileges of the account in vCenter', () => {
  it('are the same in the code, in the guide and in the list that the set-up script takes', () => {
    const [, pasted = ''] = /### The role[\s\S]*?```\n([\s\S]*?)```/.exec(read('docs/vsphere.md')) ?? [];
    expect(lines(pasted)).toEqual(rolePrivileges());
    expect(lines(read('examples/vsphere/privileges.txt'))).toEqual(rolePrivileges());
  });

  it('hold what vCenter demands for each method that the adapter calls', () => {
    const folder = join('hypervisor', 'vsphere');
    // The wire below it, in vim/, passes on what it is given.
    const called = readdirSync(join(projectRoot(), folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('vim'))
      .flatMap((name) => [...read(folder, name).matchAll(/\.(?:call|run)\(\s*'(\w+)'/g)])
      .flatMap(([, method]) => (method === undefined ? [] : [method]));
    expect(called).toEqual(
      expect.arrayContaining(['CreateVM_Task', 'QueryChangedDiskAreas', 'Destroy_Task']),
    );
    const methods: Record<string, { privilege: string | null }> = METHODS;
    for (const method of called) {
      const privilege = methods[method]?.privilege;
      if (privilege == null || privilege.startsWith('System.')) continue;
      expect([method, rolePrivileges().includes(privilege) ? privilege : 'missing']).toEqual([
        method,
        privilege,
      ]);
    }
  });

  it('are told with what they are for, by place', () => {
    expect(neededPrivileges('network')).toEqual([
      { privilege: 'Network.Assign', purpose: 'to put a network card on it' },
    ]);
    expect(neededPrivileges('protected VM')).toContainEqual({
      privilege: 'VirtualMachine.State.RemoveSnapshot',
      purpose: 'to call RemoveSnapshot_Task, ConsolidateVMDisks_Task',
    });
  });
});
