import { mkdtemp, open, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrimarySiteActivities } from '../../activities/backup-proxy/primary-site';
import { dialer } from '../../activities/dial';
import { GuestNotAdaptableError, type GuestAdapter } from '../../guest/port';
import { localHypervisor } from '../../hypervisor/local';
import { type DiskConfiguration, type Hypervisor } from '../../hypervisor/port';
import { type RunContext } from '../../plan/run';
import { failureOf, runActivity } from './run-activity';

const HARDWARE = {
  cpus: 1,
  memoryMiB: 256,
  firmware: 'bios' as const,
  nics: [{ network: 'dc', mac: '52:54:00:00:00:30' }],
  guestOs: 'debian12-64',
};
const DISKS: DiskConfiguration[] = [
  { key: 'data', sizeBytes: 2 ** 20, slot: 1, boot: false },
  { key: 'system', sizeBytes: 3 * 2 ** 20 + 512, slot: 0, boot: true },
];
const REPORT = { family: 'none', kernels: [], modules: [], changed: [], warnings: [] };

let directory: string;
let hypervisor: Hypervisor;
/** What reverting a guest does to the path that it gets. */
let revert: (path: string) => Promise<void>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lb-'));
  hypervisor = localHypervisor({ directory });
  revert = () => Promise.resolve();
});
afterEach(async () => {
  for (const vm of await hypervisor.listVms()) await hypervisor.deleteVm(vm);
  await rm(directory, { recursive: true });
});

const run = (runId: string): RunContext => ({
  plan: 'shop',
  digest: 'a'.repeat(64),
  repository: { bucket: 'b', prefix: '', region: 'eu-central-1' },
  runId,
  generation: 1,
});
const guestAdapter: GuestAdapter = {
  adaptForRecoverySite: () => Promise.reject(new Error('This is the primary site.')),
  async revertForPrimarySite(diskPath) {
    await revert(diskPath);
    return REPORT;
  },
};
const activities = () =>
  createPrimarySiteActivities({ hypervisor, guestAdapter, dial: dialer([]), pollSeconds: 0.05 });
const create = (runId: string) =>
  runActivity(activities().createTemplateVm, { run: run(runId), vm: 'db', configuration: HARDWARE });
const check = (runId: string, sizeBytes = 2 ** 20) =>
  runActivity(activities().checkPrimarySite, {
    run: run(runId),
    vms: [{ vm: 'db', disks: [{ key: 'system', sizeBytes }] }],
  });

describe('the primary site', () => {
  it('gets a template VM with its disks, which any step may be repeated on', async () => {
    for (const _try of [1, 2]) {
      await check('run-a');
      await create('run-a');
      await runActivity(activities().attachDisks, { run: run('run-a'), vm: 'db', disks: DISKS });
    }
    const { disks, power, ...rest } = await hypervisor.describeVm('db');
    expect([...disks].sort((a, b) => a.slot - b.slot)).toEqual([DISKS[1], DISKS[0]]);
    expect({ power, ...rest }).toMatchObject({ power: 'off', ...HARDWARE });
  });

  it('has its guest put back on the boot disk, opened for writing and closed again', async () => {
    await create('run-a');
    await runActivity(activities().attachDisks, { run: run('run-a'), vm: 'db', disks: DISKS });
    revert = async (path) => {
      const file = await open(path, 'r+');
      await file.write(Buffer.from('reverted'), 0, 8, 3 * 2 ** 20);
      await file.close();
    };
    const input = { run: run('run-a'), vm: 'db' };
    expect(await runActivity(activities().revertGuest, input)).toEqual(REPORT);

    revert = () => Promise.reject(new GuestNotAdaptableError('The guest has no kernel.'));
    const failure = await failureOf(runActivity(activities().revertGuest, input));
    expect(failure).toMatchObject({ type: 'GuestNotAdaptable', nonRetryable: true });

    // A disk that was left open could not be opened for writing, or the VM started.
    const disk = await hypervisor.openDisk('db', 'system');
    const file = await open(disk.path, 'r');
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 3 * 2 ** 20);
    await file.close();
    await disk.close();
    expect(buffer.toString()).toBe('reverted');
  });

  it('starts the VM with its hardware, once', async () => {
    await create('run-a');
    await runActivity(activities().attachDisks, { run: run('run-a'), vm: 'db', disks: DISKS });
    const input = { run: run('run-a'), vm: 'db', configuration: { ...HARDWARE, memoryMiB: 128 } };
    await runActivity(activities().configureAndStartVm, input);
    await runActivity(activities().configureAndStartVm, input);
    expect(await hypervisor.describeVm('db')).toMatchObject({ power: 'running', memoryMiB: 128 });
    await runActivity(activities().removeTemplateVm, { run: run('run-a'), vm: 'db' });
    expect(await hypervisor.listVms()).toEqual([]);
    await runActivity(activities().removeTemplateVm, { run: run('run-a'), vm: 'db' });
  });

  it.each([
    ['a VM that was there before', undefined, /rename it/],
    ['the template VM of an earlier run', 'lifeboat:shop:run-a', /earlier failback shop:run-a/],
  ])('is not ready where it has %s, which stays as it is', async (_what, mark, message) => {
    await hypervisor.createVm('db', HARDWARE, mark);
    await hypervisor.addDisk('db', DISKS[1]!);
    const before = await hypervisor.describeVm('db');
    const notReady = await failureOf(check('run-b'));
    expect(notReady).toMatchObject({ type: 'PrimarySiteNotReady', nonRetryable: true });
    expect(notReady.message).toMatch(message);

    expect(await failureOf(create('run-b'))).toMatchObject({ type: 'PrimarySiteNotReady' });
    const input = { run: run('run-b'), vm: 'db' };
    const notOurs = { type: 'NotOurVm', nonRetryable: true };
    for (const step of [
      runActivity(activities().attachDisks, { ...input, disks: DISKS }),
      runActivity(activities().revertGuest, input),
      runActivity(activities().configureAndStartVm, { ...input, configuration: HARDWARE }),
    ])
      expect(await failureOf(step)).toMatchObject(notOurs);
    await runActivity(activities().removeTemplateVm, input);
    expect(await hypervisor.describeVm('db')).toEqual(before);
  });

  it('is not ready without room for the disks', async () => {
    const notReady = await failureOf(check('run-a', 2 ** 50));
    expect(notReady).toMatchObject({ type: 'PrimarySiteNotReady', nonRetryable: true });
    expect(notReady.message).toContain(`${2 ** 20} GiB`);
    const free = await hypervisor.freeBytes();
    await create('run-a');
    // What this run has made already needs no room any more.
    await check('run-a', free * 2);
  });

  it('calls the VM by a name of its own, where the plan has one', async () => {
    const [input, answers] = [{ run: run('run-a'), vm: 'db', primaryVm: 'SQL-PROD-01' }, activities()];
    const configuration = HARDWARE;
    const vms = [{ vm: 'db', primaryVm: 'SQL-PROD-01', disks: [] }];
    await runActivity(answers.checkPrimarySite, { run: run('run-a'), vms });
    await runActivity(answers.createTemplateVm, { ...input, configuration });
    await runActivity(answers.attachDisks, { ...input, disks: DISKS });
    expect(await runActivity(answers.revertGuest, input)).toEqual(REPORT);
    await runActivity(answers.configureAndStartVm, { ...input, configuration });
    expect(await hypervisor.listVms()).toEqual(['SQL-PROD-01']);
    expect(await hypervisor.describeVm('SQL-PROD-01')).toMatchObject({ power: 'running' });

    const inTheWay = 'VM "SQL-PROD-01" (db in the plan)';
    const failure = await failureOf(runActivity(answers.checkPrimarySite, { run: run('run-b'), vms }));
    expect(failure.message).toContain(inTheWay);
    const notOurs = await failureOf(runActivity(answers.revertGuest, { ...input, run: run('run-b') }));
    expect(notOurs.message).toContain(inTheWay);
    await runActivity(answers.removeTemplateVm, input);
    expect(await hypervisor.listVms()).toEqual([]);
    const gone = await failureOf(runActivity(answers.revertGuest, input));
    expect(gone.message).toBe(
      'The primary site has no VM named "SQL-PROD-01". In the plan, "SQL-PROD-01" is db.',
    );
  });

  it('is asked until the VM answers, and tells the console where it does not', async () => {
    await create('run-a');
    const server = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const ask = (timeout: number) =>
      runActivity(activities().waitUntilReady, {
        vm: 'db',
        address: '127.0.0.1',
        probe: { tcp: port, timeout },
      });
    expect((await ask(10)).seconds).toBeLessThan(10);
    await new Promise((resolve) => server.close(resolve));
    const silent = await failureOf(ask(1));
    expect(silent).toMatchObject({ type: 'NotReady', nonRetryable: true });
    expect(silent.message).toContain(String(port));
  });
});
