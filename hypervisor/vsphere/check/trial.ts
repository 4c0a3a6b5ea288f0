import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import {
  type ControllerKind,
  type DiskArea,
  type DiskConfiguration,
  type Hypervisor,
  type OpenDisk,
} from '../../port';
import { controllersOf, disksOf } from '../devices';
import { type Finding, note, ok, problem } from './findings';
import { siteNetworks } from '../networks';
import { type Site } from '../site';

/** Each a size that is no multiple of 1 KiB: what a VMDK may have, and some storage may not. */
const SYSTEM: DiskConfiguration = { key: 'system', sizeBytes: 24 * 2 ** 20 + 3 * 512, slot: 0, boot: true };
const FURTHER_BYTES = 4 * 2 ** 20 + 512;
const PATTERN_BYTES = 2 ** 20;

/**
 * Does with a VM of its own what a failback and two backups do, and removes it whatever happens. What is found here is what no
 * document and no simulator tells of this vCenter.
 */
export async function tryWithTestVm(site: Site, hypervisor: Hypervisor): Promise<Finding[]> {
  const name = `lifeboat-check-${randomBytes(4).toString('hex')}`;
  const findings: Finding[] = [];
  const trial = new Trial(site, hypervisor, name, findings);
  try {
    await trial.all();
  } catch (error) {
    // Told as the last step's problem; what follows it could not be tried.
    if (!(error instanceof StepFailedError)) throw error;
  } finally {
    await trial.step('everything is removed again', () => trial.remove(), { last: true });
  }
  return findings;
}

/** A step that was told as a problem already. */
class StepFailedError extends Error {}

class Trial {
  constructor(
    private readonly site: Site,
    private readonly hypervisor: Hypervisor,
    private readonly name: string,
    private readonly findings: Finding[],
  ) {}

  async all(): Promise<void> {
    const { hypervisor, name } = this;
    await this.step('the VM is made', () => this.create());
    await this.step(`a disk of ${SYSTEM.sizeBytes} bytes is made`, async () => {
      await hypervisor.addDisk(name, SYSTEM);
    });
    await this.step('a call that is repeated changes nothing', async () => {
      await hypervisor.addDisk(name, SYSTEM);
      const { disks } = await hypervisor.describeVm(name);
      if (disks.length !== 1) throw new Error(`The VM has ${disks.length} disks afterwards.`);
    });
    const pattern = randomBytes(PATTERN_BYTES);
    const atEnd = SYSTEM.sizeBytes - 512;
    await this.step('the disk is attached to the proxy, and written', () =>
      this.withDisk(hypervisor.openDisk(name, SYSTEM.key), async (disk) => {
        await writeAt(disk, pattern, 0);
        await writeAt(disk, pattern.subarray(0, 512), atEnd);
        await this.mustFail('the VM starts while its disk is at the proxy', () => hypervisor.powerOn(name));
      }),
    );
    await this.step('what was written is there when it is attached again', () =>
      this.withDisk(hypervisor.openDisk(name, SYSTEM.key), async (disk) => {
        await mustHold(disk, pattern, 0);
        await mustHold(disk, pattern.subarray(0, 512), atEnd);
      }),
    );
    for (const kind of ['sata', 'nvme'] as const) await this.tryController(kind);
    await this.step('the VM starts', () => hypervisor.powerOn(name));
    const first = await this.step('a snapshot is taken of the running VM', () =>
      hypervisor.snapshotVm(name, 'check 1'),
    );
    await this.step("the snapshot's disk is attached to the proxy, and read", () =>
      this.withDisk(hypervisor.openSnapshotDisk(name, 'check 1', SYSTEM.key), async (disk) => {
        await mustHold(disk, pattern, 0);
        await mustHold(disk, pattern.subarray(0, 512), atEnd);
      }),
    );
    await this.readFurther();
    await this.step('areas in use are told', async () => {
      const areas = await hypervisor.changedAreas(name, 'check 1', SYSTEM.key);
      if (areas === undefined) return 'vCenter cannot tell them; the first backup reads all of a disk';
      if (!covers(areas, 0, PATTERN_BYTES) || !covers(areas, atEnd, 512))
        throw new Error(
          `They lack what was written: ${JSON.stringify(areas.slice(0, 20))}. Do not use changed-block tracking here.`,
        );
      return `${areas.length} areas, ${areas.reduce((sum, { length }) => sum + length, 0)} bytes`;
    });
    await this.step('the snapshot is removed', () => hypervisor.releaseSnapshot(name, 'check 1'));
    await this.step('a second snapshot tells what has changed since', async () => {
      await hypervisor.snapshotVm(name, 'check 2');
      const marker = first.changeMarkers[SYSTEM.key];
      if (marker === undefined) return 'changes of its disk are not tracked; each backup reads all of it';
      const areas = await hypervisor.changedAreas(name, 'check 2', SYSTEM.key, marker);
      return areas === undefined
        ? 'vCenter cannot tell; each backup reads all of a disk'
        : `${areas.length} areas`;
    });
    await this.step('that one is removed', () => hypervisor.releaseSnapshot(name, 'check 2'));
    await this.step('nothing is left to consolidate', async () => {
      const vm = await this.site.inventory.vm(name);
      const { 'runtime.consolidationNeeded': needed } = await this.site.client.get(
        vm,
        'runtime.consolidationNeeded',
      );
      if (needed === true)
        throw new Error('The disks need consolidation. See in the tasks of the VM what vCenter says of it.');
    });
    await this.step('its console is asked for', async () => {
      const text = await hypervisor.consoleOutput(name);
      return text === '' ? 'there is none, as the VM has no serial port' : `${text.length} characters`;
    });
  }

  /** @returns what the work does; after a failure, the trial is over */
  async step<T>(what: string, work: () => Promise<T>, { last = false } = {}): Promise<T> {
    const object = `test VM ${this.name}`;
    const began = performance.now();
    try {
      const result = await work();
      const took = `${Math.round(performance.now() - began)} ms`;
      this.findings.push(ok(object, `${what} (${typeof result === 'string' ? `${result}; ` : ''}${took}).`));
      return result;
    } catch (error) {
      this.findings.push(problem(object, `not so: ${what}. ${(error as Error).message}`));
      if (last) return undefined as T;
      throw new StepFailedError(what, { cause: error });
    }
  }

  private async create(): Promise<string> {
    const { hypervisor, name, site } = this;
    const [network] = await siteNetworks(site.client, await site.inventory.datacenter());
    // From vCenter's own range, as the cards of most VMs have it.
    const mac = `00:50:56:${[0x80 + (randomBytes(1)[0] ?? 0) / 4, ...randomBytes(2)]
      .map((byte) => Math.floor(byte).toString(16).padStart(2, '0'))
      .join(':')}`;
    const nics = network === undefined ? [] : [{ network: network.name, mac }];
    const configuration = {
      cpus: 1,
      memoryMiB: 256,
      firmware: 'bios' as const,
      guestOs: 'otherGuest64',
      nics,
    };
    await hypervisor.createVm(name, configuration, 'lifeboat check');
    const got = (await hypervisor.describeVm(name)).nics[0]?.mac;
    if (network === undefined) return 'without a network card, as the account sees no network';
    return got === mac
      ? `vCenter keeps an address of its own range, ${mac}`
      : `vCenter gave the card ${got ?? 'no address'} instead of ${mac}: VMs that come home get new addresses`;
  }

  /** Kinds of controllers that nobody has seen to work with every version; what does not is a note. */
  private async tryController(kind: ControllerKind): Promise<void> {
    const object = `test VM ${this.name}`;
    const disk = { key: kind, sizeBytes: FURTHER_BYTES, slot: 0, boot: false, controller: { kind, bus: 0 } };
    try {
      await this.hypervisor.addDisk(this.name, disk);
      await this.withDisk(this.hypervisor.openDisk(this.name, kind), (open) =>
        writeAt(open, Buffer.alloc(512, 0x5a), 0),
      );
      this.findings.push(
        ok(object, `a disk on a ${kind} controller is made, attached to the proxy and written.`),
      );
    } catch (error) {
      this.findings.push(
        note(object, `VMs with ${kind} disks cannot come home: ${(error as Error).message}`),
      );
    }
  }

  private async readFurther(): Promise<void> {
    const { disks } = await this.hypervisor.describeVm(this.name);
    for (const { key } of disks.filter((disk) => disk.key !== SYSTEM.key))
      await this.step(`the snapshot's ${key} disk is attached to the proxy, and read`, () =>
        this.withDisk(this.hypervisor.openSnapshotDisk(this.name, 'check 1', key), (disk) =>
          mustHold(disk, Buffer.alloc(512, 0x5a), 0),
        ),
      );
  }

  private async withDisk(opening: Promise<OpenDisk>, work: (disk: OpenDisk) => Promise<void>): Promise<void> {
    const disk = await opening;
    try {
      await work(disk);
    } catch (error) {
      await disk.close().catch(() => undefined); // The first error is the one to tell.
      throw error;
    }
    await disk.close();
  }

  private async mustFail(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch {
      return;
    }
    throw new Error(`It should have been refused that ${what}.`);
  }

  async remove(): Promise<void> {
    const { hypervisor, name, site } = this;
    const vm = await site.inventory.vmIfThere(name);
    if (vm === undefined) return;
    await hypervisor.deleteVm(name);
    if ((await site.inventory.vmIfThere(name)) !== undefined)
      throw new Error(`"${name}" is still there: remove it in the client.`);
    const { config } = await site.client.get(await site.inventory.proxy(), 'config');
    const devices = config?.hardware.device ?? [];
    const left = disksOf(devices).filter(({ backing }) => backing.fileName?.includes(name) === true);
    if (left.length > 0)
      throw new Error(
        `The proxy still has ${left.map(({ label }) => label).join(', ')} of it, on ${controllersOf(devices).length} controllers: ` +
          'remove them in the client, without deleting files.',
      );
  }
}

async function writeAt({ path }: OpenDisk, bytes: Buffer, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(bytes, 0, bytes.length, offset);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function mustHold({ path }: OpenDisk, bytes: Buffer, offset: number): Promise<void> {
  const file = await open(path, 'r');
  try {
    const found = Buffer.alloc(bytes.length);
    await file.read(found, 0, found.length, offset);
    if (!found.equals(bytes))
      throw new Error(`At ${offset} of ${path} there is something else than was written.`);
  } finally {
    await file.close();
  }
}

function covers(areas: readonly DiskArea[], offset: number, length: number): boolean {
  let at = offset;
  for (const area of areas)
    if (area.offset <= at && at < area.offset + area.length) at = area.offset + area.length;
  return at >= offset + length;
}
