import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrimarySiteActivities } from '../../activities/backup-proxy/primary-site';
import { createSurvivorActivities } from '../../activities/backup-proxy/survivors';
import { dialer } from '../../activities/dial';
import { type GuestAdapter } from '../../guest/port';
import { localHypervisor } from '../../hypervisor/local';
import { type DiskConfiguration, type Hypervisor } from '../../hypervisor/port';
import { type RunContext } from '../../plan/run';
import { movePlanState, takePlanState } from '../../repository/plans/plan-state';
import { MemoryObjectStore } from '../support/memory-object-store';
import { RUN } from '../support/run-context';
import { failureOf, runActivity } from './run-activity';

const HARDWARE = { cpus: 1, memoryMiB: 64, firmware: 'bios' as const, nics: [], guestOs: 'debian12' };
const SYSTEM: DiskConfiguration = { key: 'system', sizeBytes: 2 ** 20 + 512, slot: 0, boot: true };
const DATA: DiskConfiguration = { key: 'data', sizeBytes: 2 ** 20, slot: 1, boot: false };
const REPORT = { family: 'none', kernels: [], modules: [], changed: [], warnings: [] };
const guestAdapter: GuestAdapter = {
  adaptForRecoverySite: () => Promise.reject(new Error('This is the primary site.')),
  revertForPrimarySite: () => Promise.resolve(REPORT),
};

describe('a VM that is at home when the application comes back', () => {
  let directory: string;
  let hypervisor: Hypervisor;
  let store: MemoryObjectStore;
  let identity: string | undefined;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lb-'));
    hypervisor = localHypervisor({ directory });
    store = new MemoryObjectStore();
    await hypervisor.createVm('db', HARDWARE);
    for (const disk of [SYSTEM, DATA]) await hypervisor.addDisk('db', disk);
    ({ identity } = await hypervisor.describeVm('db'));
  });
  afterEach(async () => {
    for (const vm of await hypervisor.listVms()) await hypervisor.deleteVm(vm);
    await rm(directory, { recursive: true });
  });

  const activities = () => ({
    ...createPrimarySiteActivities({ hypervisor, guestAdapter, dial: dialer([]) }),
    ...createSurvivorActivities({ hypervisor, objectStore: () => store }),
  });

  /** A run that fails back. */
  async function failingBack(runId: string): Promise<RunContext> {
    const from = ['none', 'failed-over', 'failing-back'] as const;
    const { generation } = await takePlanState(store, { ...RUN, runId }, from, 'failing-back');
    return { ...RUN, runId, generation };
  }

  const check = (
    more: { disks?: DiskConfiguration[]; excludedDisks?: string[]; survivors?: 'use' | 'replace' } = {},
    configuration: object = {},
  ) => {
    const { survivors = 'use', disks = [SYSTEM, DATA], excludedDisks } = more;
    const backedUp = {
      disks,
      configuration: { ...HARDWARE, ...(identity === undefined ? {} : { identity }), ...configuration },
      ...(excludedDisks === undefined ? {} : { excludedDisks }),
    };
    return runActivity(activities().checkPrimarySite, {
      run: { ...RUN, runId: 'looks' },
      vms: [{ vm: 'db', ...backedUp }],
      survivors,
    });
  };

  it('has survived where its identity, firmware, disks and sizes are those of the backup', async () => {
    expect(await check()).toEqual({ notes: [], survived: ['db'] });
    expect(await check({ disks: [SYSTEM], excludedDisks: ['data'] })).toEqual({
      notes: [],
      survived: ['db'],
    });
    const unknown = await check({}, { identity: undefined });
    expect(unknown.survived).toEqual(['db']);
    expect(unknown.notes).toEqual([expect.stringMatching(/"db" .* told by its disks and firmware only/)]);
  });

  it.each<[string, DiskConfiguration[], object, RegExp]>([
    ['another VM', [SYSTEM, DATA], { identity: 'cc' }, /another VM \(its identity is .*, the backup's cc\)/],
    ['another firmware', [SYSTEM, DATA], { firmware: 'uefi' }, /its firmware is bios, and was uefi/],
    ['a disk less', [SYSTEM, DATA, { ...DATA, key: 'logs' }], {}, /it lacks the disk "logs"/],
    ['a disk more', [SYSTEM], {}, /it has a disk "data" that the backup does not have/],
    ['another size', [SYSTEM, { ...DATA, sizeBytes: 512 }], {}, /"data" has 1048576 bytes, and had 512/],
    ['another disk to boot from', [{ ...SYSTEM, boot: false }, DATA], {}, /it boots from the disk "system"/],
  ])('is refused with %s, and said to be kept by --replace', async (_what, disks, configuration, why) => {
    const refused = await failureOf(check({ disks }, configuration));
    expect(refused).toMatchObject({ type: 'PrimarySiteNotReady', nonRetryable: true });
    expect(refused.message).toMatch(why);
    expect(refused.message).toMatch(/--replace/);
    const { setAside } = await check({ disks, survivors: 'replace' }, configuration);
    expect(setAside).toEqual([
      { vm: 'db', aside: expect.stringMatching(/^db-before-failback-\d{8}T\d{6}Z$/) as string },
    ]);
  });

  it('has survived where a failback of the plan made it, and not where another plan did', async () => {
    await hypervisor.deleteVm('db');
    await hypervisor.createVm('db', HARDWARE, 'lifeboat:shop:earlier');
    for (const disk of [SYSTEM, DATA]) await hypervisor.addDisk('db', disk);
    expect(await check()).toEqual({ notes: [], survived: ['db'] });
    await hypervisor.deleteVm('db');
    await hypervisor.createVm('db', HARDWARE, 'lifeboat:shop-2:earlier');
    for (const disk of [SYSTEM, DATA]) await hypervisor.addDisk('db', disk);
    expect((await failureOf(check())).message).toMatch(/it is another VM/);
    // Also where there is nothing to tell it by, and where it would only be set aside.
    expect((await failureOf(check({}, { identity: undefined }))).message).toMatch(
      /Lifeboat made it for another plan \(shop-2:earlier\)/,
    );
    expect((await failureOf(check({ survivors: 'replace' }))).message).toMatch(
      /of the earlier failback shop-2:earlier\. Remove it, or rename it/,
    );
  });

  it('has to be off, whatever is to become of it', async () => {
    await hypervisor.powerOn('db');
    for (const survivors of ['use', 'replace'] as const)
      expect((await failureOf(check({ survivors }))).message).toMatch(/"db" runs at the primary site/);
    const run = await failingBack('run-a');
    expect(
      (await failureOf(runActivity(activities().holdVm, { run, vm: 'db', unfinishedFailbacks: [] }))).message,
    ).toMatch(/"db" runs at the primary site/);
  });

  const bytesAt = async (): Promise<string> =>
    (await readFile(join(directory, 'vms', 'db', 'data-flat.vmdk'))).toString('latin1', 0, 8);
  async function write(text: string): Promise<void> {
    const disk = await hypervisor.openDisk('db', 'data');
    const file = await open(disk.path, 'r+');
    await file.write(text, 0);
    await file.close();
    await disk.close();
  }

  it('is worked on while it is held, and is then given back or let be', async () => {
    await write('original');
    const run = await failingBack('run-a');
    const input = { run, vm: 'db' };
    const hold = () => runActivity(activities().holdVm, { ...input, unfinishedFailbacks: [] });
    expect(await failureOf(runActivity(activities().revertGuest, input))).toMatchObject({ type: 'NotOurVm' });
    for (let i = 0; i < 2; i++) await hold();
    expect(await check()).toMatchObject({ survived: ['db'] });
    await write('from EC2');
    expect(await runActivity(activities().revertGuest, input)).toEqual(REPORT);
    await runActivity(activities().configureAndStartVm, {
      ...input,
      configuration: { ...HARDWARE, cpus: 2 },
    });
    // It was not made by the run, so that it is never removed.
    await runActivity(activities().removeTemplateVm, input);
    for (let i = 0; i < 2; i++) await runActivity(activities().revertVm, input);
    expect(await hypervisor.describeVm('db')).toMatchObject({ cpus: 1, power: 'off' });
    expect(await bytesAt()).toBe('original');

    await hold();
    await write('from EC2');
    for (let i = 0; i < 2; i++) await runActivity(activities().dropVmHold, input);
    expect(await bytesAt()).toBe('from EC2');
    // Too late: the run is over.
    await movePlanState(store, run, 'failed-back');
    expect(await failureOf(hold())).toMatchObject({ type: 'Fenced', nonRetryable: true });
    await runActivity(activities().revertVm, input);
    expect(await bytesAt()).toBe('from EC2');
  });

  it.each([
    ['ended half-way, and is what it was before that', ['dead'], 'original'],
    ['is over, and stays what it is', [], 'half way'],
  ])('is taken over from a run that %s', async (_what, unfinishedFailbacks, expected) => {
    await write('original');
    const dead = await failingBack('dead');
    await runActivity(activities().holdVm, { run: dead, vm: 'db', unfinishedFailbacks: [] });
    await write('half way');
    const run = await failingBack('run-a');
    await runActivity(activities().holdVm, { run, vm: 'db', unfinishedFailbacks });
    expect((await hypervisor.describeVm('db')).heldBy).toBe('lifeboat:shop:run-a');
    expect(await bytesAt()).toBe(expected);
    const late = runActivity(activities().holdVm, { run: dead, vm: 'db', unfinishedFailbacks });
    expect(await failureOf(late)).toMatchObject({ type: 'Fenced' });
  });

  it('is left to another plan that holds it', async () => {
    await hypervisor.holdVm('db', 'lifeboat:shop-2:run');
    const run = await failingBack('run-a');
    const refused = await failureOf(
      runActivity(activities().holdVm, { run, vm: 'db', unfinishedFailbacks: [] }),
    );
    expect(refused.message).toMatch(/held by "lifeboat:shop-2:run".*Is it in two plans\?/);
  });

  it('makes room for another one, and gets its name back', async () => {
    await write('original');
    const run = await failingBack('run-a');
    const input = { run, vm: 'db' };
    const aside = 'db-before-failback-20261130T151000Z';
    const { setVmAside, createTemplateVm, removeTemplateVm, bringVmBack } = activities();
    for (let i = 0; i < 2; i++) await runActivity(setVmAside, { ...input, aside });
    for (let i = 0; i < 2; i++) await runActivity(createTemplateVm, { ...input, configuration: HARDWARE });
    await runActivity(setVmAside, { ...input, aside });
    expect(await hypervisor.listVms()).toEqual(['db', aside]);
    const early = await failureOf(runActivity(bringVmBack, { ...input, aside }));
    expect(early.message).toMatch(new RegExp(`is "${aside}" now, and another has its name`));
    await runActivity(removeTemplateVm, input);
    for (let i = 0; i < 2; i++) await runActivity(bringVmBack, { ...input, aside });
    expect(await hypervisor.listVms()).toEqual(['db']);
    expect((await hypervisor.describeVm('db')).identity).toBe(identity);
    expect(await bytesAt()).toBe('original');
  });
});
