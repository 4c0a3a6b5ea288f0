import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createPrimarySiteActivities } from '../../activities/backup-proxy/primary-site';
import { dialer } from '../../activities/dial';
import { runCli } from '../../cli/program';
import { toolOutput } from '../../host/run-tool';
import { projectRoot } from '../../host/project-root';
import { type Finding } from '../../hypervisor/vsphere/check/findings';
import { rolePrivileges } from '../../hypervisor/vsphere/privileges';
import { describeWithVcenter } from '../support/describe-with-vcenter';
import { failureOf, runActivity } from './run-activity';
import { startVsphereSite, type VsphereSite } from './vsphere-site';

interface Answer {
  code: number;
  ok: boolean;
  findings: Finding[];
}

describeWithVcenter('lifeboat vsphere check', () => {
  let site: VsphereSite;
  beforeAll(async () => {
    site = await startVsphereSite();
  });
  afterAll(() => site.remove());
  afterEach(async () => {
    await site.vcenter.control.setRules([]);
    await site.vcenter.control.denyPrivileges([]);
  });

  async function check(args: string[] = [], settings: object = {}): Promise<Answer> {
    const file = join(site.directory, 'checked.yaml');
    await writeFile(file, stringify({ ...site.settings, ...settings }));
    let out = '';
    const code = await runCli(['vsphere', 'check', '--settings', file, '--json', ...args], {
      out: (text) => (out += text),
      err: () => undefined,
      stderrIsTty: false,
      env: { LIFEBOAT_STATE_DIRECTORY: site.stateDirectory },
      cwd: site.directory,
      onInterrupt: () => () => undefined,
    });
    return { code, ...(JSON.parse(out) as Omit<Answer, 'code'>) };
  }
  const problems = ({ findings }: Answer): string[] =>
    findings.filter(({ level }) => level === 'problem').map(({ object, text }) => `${object}: ${text}`);

  it('finds nothing in the way, and does everything with a VM that it makes and removes', async () => {
    const answer = await check(['--with-a-test-vm']);
    expect(problems(answer)).toEqual([]);
    expect(answer).toMatchObject({ code: 0, ok: true });
    expect(answer.findings.map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('disk.EnableUUID is TRUE'),
        expect.stringContaining('areas in use are told'),
        expect.stringContaining('everything is removed again'),
      ]),
    );
    expect(await site.afresh().listVms()).toEqual(['backup-proxy']);
  });

  it('tells what is missing, on what, and what to do; and makes nothing then', async () => {
    await site.vcenter.control.denyPrivileges([
      'VirtualMachine.Config.AddExistingDisk',
      'Resource.AssignVMToPool',
    ]);
    const settings = { networks: { Old: 'Gone' }, folder: 'Nowhere', datastore: 'ds-2' };
    const answer = await check(['--with-a-test-vm', 'nobody'], settings);
    expect(answer).toMatchObject({ code: 1, ok: false });
    expect(problems(answer)).toEqual([
      expect.stringMatching(
        /^proxy VM \/DC0\/vm\/backup-proxy \(vm-\d+\): the account lacks VirtualMachine.Config.AddExistingDisk \(to attach/,
      ),
      expect.stringContaining('no datastore "ds-2" for new VMs: set datastore to one of its own: LocalDS_0.'),
      expect.stringContaining('vCenter has no folder "/DC0/vm/Nowhere"'),
      expect.stringMatching(/^resource pool .*: the account lacks Resource.AssignVMToPool/),
      expect.stringContaining('the settings have "Gone" for "Old"'),
      expect.stringContaining('no VM named "nobody"'),
    ]);
    expect(await site.afresh().listVms()).toEqual(['backup-proxy']);
  });

  it('removes its VM whatever goes wrong with it', async () => {
    const rule = { name: 'fail', method: 'CreateSnapshotEx_Task', times: 9, when: 'before' as const };
    await site.vcenter.control.setRules([{ ...rule, fault: 'InsufficientResourcesFault' }]);
    const answer = await check(['--with-a-test-vm']);
    expect(answer.code).toBe(1);
    expect(problems(answer)).toEqual([
      expect.stringContaining('not so: a snapshot is taken of the running VM.'),
    ]);
    expect(answer.findings.at(-1)?.text).toContain('everything is removed again');
    expect(await site.afresh().listVms()).toEqual(['backup-proxy']);
  });

  it('looks at VMs that are to be protected', async () => {
    const hypervisor = site.afresh();
    const { client, inventory } = site;
    const nics = [{ network: 'VM Network', mac: '00:50:56:00:00:01' }];
    await hypervisor.createVm('web', {
      cpus: 1,
      memoryMiB: 64,
      firmware: 'bios',
      nics,
      guestOs: 'otherGuest64',
    });
    await hypervisor.addDisk('web', { key: 'system', sizeBytes: 2 ** 20, slot: 0, boot: true });
    const texts = (answer: Answer): string[] =>
      answer.findings
        .filter(({ object }) => object.startsWith('VM '))
        .map(({ level, text }) => `${level}: ${text}`);
    expect(texts(await check(['web']))).toEqual([
      'ok: it can be backed up as it is.',
      'ok: its changes are not tracked yet; its first backup switches that on.',
      'ok: it can be on "VM Network" again.',
    ]);
    const vm = await inventory.vm('web');
    await client.run('CreateSnapshotEx_Task', vm, { name: 'before the update', memory: false });
    const [, told, tracking] = texts(await check(['web']));
    expect(told).toMatch(
      /^note: it has a snapshot of somebody else \("before the update"\), which is left alone/,
    );
    expect(tracking).toMatch(/^note: its changes are not tracked, and tracking is not switched on while/);
    await hypervisor.deleteVm('web');
  });

  it('says so where vCenter does not let the account in, or is another one', async () => {
    const credentials = join(site.directory, 'wrong.yaml');
    await writeFile(credentials, 'user: nobody\npassword: s3cret-of-nobody\n');
    const refused = await check([], { credentials });
    expect(refused.code).toBe(1);
    expect(problems(refused)).toHaveLength(1);
    expect(JSON.stringify(refused)).not.toContain('s3cret-of-nobody');
    const thumbprint = '00'.repeat(32);
    const other = await check([], { ca: undefined, thumbprint });
    expect(problems(other)[0]).toContain(site.vcenter.thumbprint);
  });

  it('keeps a failback that cannot work from beginning', async () => {
    const { checkPrimarySite } = createPrimarySiteActivities({
      hypervisor: site.afresh(),
      guestAdapter: {
        adaptForRecoverySite: () => Promise.reject(new Error('Nobody is adapted here.')),
        revertForPrimarySite: () => Promise.reject(new Error('Nobody is reverted here.')),
      },
      dial: dialer([]),
    });
    const run = {
      plan: 'shop',
      digest: 'a'.repeat(64),
      repository: { bucket: 'b', prefix: '', region: 'eu-central-1' },
      runId: 'run-a',
      generation: 1,
    };
    const input = (network: string) => ({
      run,
      vms: [
        {
          vm: 'web',
          disks: [{ key: 'system', sizeBytes: 2 ** 20 }],
          configuration: {
            cpus: 1,
            memoryMiB: 64,
            firmware: 'bios' as const,
            nics: [{ network, mac: '52:54:00:00:00:01' }],
            guestOs: 'otherGuest64',
          },
        },
      ],
    });
    const { notes } = await runActivity(checkPrimarySite, input('VM Network'));
    expect(notes).toEqual([
      expect.stringContaining('of network card 1, its address 52:54:00:00:00:01 cannot be kept'),
    ]);
    await site.vcenter.control.denyPrivileges(['VirtualMachine.Inventory.Create']);
    const failure = await failureOf(runActivity(checkPrimarySite, input('Old')));
    expect(failure).toMatchObject({ type: 'PrimarySiteNotReady', nonRetryable: true });
    expect(failure.message).toContain('no network "Old"');
    expect(failure.message).toContain('VirtualMachine.Inventory.Create');
  });

  it('finds what the set-up script makes with govc', async () => {
    const { url, user, password, ca } = site.vcenter;
    const environment = {
      PATH: `${join(projectRoot(), '.lifeboat/tools/vcenter')}:${process.env.PATH ?? ''}`,
      HOME: site.directory,
      GOVC_URL: url,
      GOVC_USERNAME: user,
      GOVC_PASSWORD: password,
      GOVC_TLS_CA_CERTS: ca,
    };
    const script = join(projectRoot(), 'examples/vsphere/set-up.sh');
    for (let i = 0; i < 2; i++)
      await toolOutput('sh', [script, '/DC0', 'lifeboat', '/DC0/vm/backup-proxy'], { environment });
    const role = await toolOutput('govc', ['role.ls', 'Lifeboat'], { environment });
    expect(role.trim().split('\n')).toEqual(expect.arrayContaining(rolePrivileges()));
    const permissions = await toolOutput('govc', ['permissions.ls', '/DC0'], { environment });
    expect(permissions).toMatch(/Lifeboat .*lifeboat .*Yes/);
    const answer = await check();
    expect(problems(answer)).toEqual([]);
    expect(answer.findings.map(({ text }) => text)).toContain(
      "its PVSCSI controller 1 is free for other VMs' disks.",
    );
  });
});

it('wants to be told which vCenter', async () => {
  let err = '';
  const code = await runCli(['vsphere', 'check'], {
    out: () => undefined,
    err: (text) => (err += text),
    stderrIsTty: false,
    env: { LIFEBOAT_HYPERVISOR: 'local:/srv/vms' },
    cwd: '/',
    onInterrupt: () => () => undefined,
  });
  expect(code).toBe(2);
  expect(err).toContain('No vCenter is named');
});
