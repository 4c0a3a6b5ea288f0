import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localHypervisor } from '../../hypervisor/local';
import { MACHINE_CONTROLLERS } from '../../machines/hardware';
import { createDatacenter, removeDatacenter } from '../../sandbox/datacenter/datacenter';
import { holdContract } from './hold-contract';
import { type AdapterTraits, hypervisorContract, type HypervisorUnderTest } from './hypervisor-contract';
import { writeAsGuest } from './write-as-guest';

/** Disks are handed out by FUSE and cards are taps in network namespaces: both need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('the local hypervisor (needs root)', () => {
  const traits: AdapterTraits = {
    refusedNames: ['../web', '', 'a/b', '.', 'a\0b', 'x'.repeat(200), 'web\n', 'SQL PROD 01', '/dc/vm/web'],
    takenNames: ['SQL-PROD-01', 'x'.repeat(40)],
    controllers: [...MACHINE_CONTROLLERS],
    network: 'dc',
    guestOs: 'debian12',
  };
  const setUp = async (): Promise<HypervisorUnderTest> => {
    const directory = await mkdtemp(join(tmpdir(), 'datacenter-'));
    const id = `t${randomBytes(4).toString('hex')}`;
    const network = { id, runDirectory: `/run/lifeboat-${id}` };
    const datacenter = await createDatacenter({ directory, network, loopbackOctet: 250 });
    return {
      hypervisor: localHypervisor({ directory }),
      afresh: () => localHypervisor({ directory }),
      writeAsGuest: (vm, slot, offset, length, pattern) =>
        writeAsGuest(join(directory, 'vms', vm), slot, offset, length, pattern),
      async remove() {
        await removeDatacenter(datacenter);
        await rm(network.runDirectory, { recursive: true, force: true });
        expect(await runningProcessesThatName(directory)).toEqual([]);
        expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(directory);
      },
    };
  };
  hypervisorContract(traits, setUp);
  holdContract(traits, setUp);
});

async function runningProcessesThatName(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(text)) found.push(commandLine.replaceAll('\0', ' '));
  }
  return found;
}
