import { TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCli } from '../../cli/program';
import { NotWaitingError, RunFailedError } from '../../client/errors';
import { look } from '../../client/progress';
import { type LifeboatRun } from '../../client/run';
import { type DrPlan } from '../../plan/schema';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { type FaultRule } from '../../sandbox/aws/faults/rule';
import { writeFileAtomically } from '../../host/atomic-file';
import { type RunStatus, type VmStatus } from '../../workflows/run/messages';
import { Account, type Resource } from '../chaos/account';
import { ExpectedDisks } from '../chaos/disks';
import { SeededRandom } from '../chaos/random';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { eventually } from '../support/eventually';
import { testIo } from '../unit/cli-io';
import { removeSystemDisks } from '../chaos/guests';

const NAME = 'www.shop.example';
const HOME = '192.168.10.100';
const DB_AT_RECOVERY_SITE = '10.0.1.77';
const STEP_MS = 240_000;
const SCRIPT_SECRET = 'correct-horse-battery-staple';

const NO_CAPACITY: FaultRule = {
  name: 'no capacity for web',
  operations: ['RunInstances'],
  matches: '"web"',
  fault: { kind: 'error', code: 'InsufficientInstanceCapacity', status: 500 },
};
const BAD_VOLUME: FaultRule = {
  name: 'a volume of db fails',
  operations: ['CreateVolume'],
  matches: '"db"',
  times: 1,
  fault: { kind: 'resource-error' },
};
/** An answer that repeats parts of a signed request, as some of AWS's do. */
const SIGNED = 'X-Amz-Security-Token=FwoGZXIvYXdzEXAMPLE&X-Amz-Signature=5d672d79c15b13162d9279b0855cfba6';
const NO_DNS: FaultRule = {
  name: 'no DNS',
  operations: ['ChangeResourceRecordSets'],
  fault: { kind: 'error', code: 'AccessDenied', message: `You may not (${SIGNED}).`, status: 403 },
};
const OVERLOADED: FaultRule = {
  name: 'EBS is busy',
  operations: ['ListSnapshotBlocks'],
  fault: { kind: 'error', code: 'InternalServerException', message: 'It is busy.', status: 500 },
};
const NO_SNAPSHOTS: FaultRule = {
  name: 'no snapshots',
  operations: ['CreateSnapshots'],
  fault: { kind: 'error', code: 'UnauthorizedOperation', message: 'You may not.', status: 403 },
};

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('where a person has to mend something (needs root)', () => {
  let sandbox: E2eSandbox;
  let account: Account;
  let disks: ExpectedDisks;
  const plan: DrPlan = plainPlan('shop', ['db', 'web'], {
    dns: {
      hostedZone: SHOP_HOSTED_ZONE_ID,
      records: [{ name: NAME, vm: 'web', address: 'private', ttl: 60 }],
    },
  });
  for (const vm of plan.vms) vm.readiness = { tcp: 80, timeout: 4 };
  const script = Buffer.from(`#!/bin/sh\nexport DB_PASSWORD=${SCRIPT_SECRET}\n`);
  const sha256 = createHash('sha256').update(script).digest('hex');
  Object.assign(plan.vms[0] ?? {}, {
    privateAddress: DB_AT_RECOVERY_SITE,
    // Nothing boots here that could say how it ended.
    bootScript: { name: 'db.sh', sha256, timeout: 1 },
  });

  beforeAll(async () => {
    sandbox = await openE2eSandbox('attention', { runner: 'no-boot', application: 'none', pace: 'quick' });
    const { config, client } = sandbox;
    account = new Account(config);
    disks = new ExpectedDisks(join(config.directory, 'expected'), {
      plan: 'shop',
      vms: ['db', 'web'].map((name) => ({ name, guest: 'debian', dataSectors: 3000, dependsOn: [] })),
      steps: [],
    });
    await disks.make(sandbox.site, new SeededRandom(6));
    await account.setAddress(NAME, HOME);
    const argument = await sandbox.publish(plan, [{ name: 'db.sh', sha256, content: script }]);
    await (await client.backup(argument)).result();
    await (await client.restore(argument)).result();
  }, SANDBOX_SECONDS * 1000);

  afterAll(async () => {
    removeSystemDisks();
    account?.close();
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  afterEach(() => sandbox.mendAws());

  const silence = (...addresses: string[]): Promise<void> =>
    writeFileAtomically(sandbox.paths.silentGuests, JSON.stringify(addresses));

  /** Waits until the run's own account is as wanted. */
  const status = (run: LifeboatRun, wanted: (status: RunStatus) => boolean): Promise<RunStatus> =>
    eventually(120, async () => {
      const { snapshot } = await look(sandbox.client.temporal, run);
      if (!snapshot.running) return { ended: await run.result().catch(String) };
      if (snapshot.status !== undefined && wanted(snapshot.status)) return snapshot.status;
      throw new Error(`Not as wanted: ${JSON.stringify(snapshot)}`);
    }).then((found) => {
      if ('ended' in found) throw new Error(`The run has ended: ${JSON.stringify(found.ended)}`);
      return found;
    });
  const of = ({ vms }: RunStatus, name: string): VmStatus => {
    const found = vms.find(({ vm }) => vm === name);
    if (found === undefined) throw new Error(`There is no ${name}.`);
    return found;
  };
  const waits = (name: string, detail: RegExp) => (now: RunStatus) =>
    of(now, name).phase === 'needs attention' && detail.test(of(now, name).detail);
  /** What the Web UI shows as the run's current details. */
  const details = async (run: LifeboatRun): Promise<string> => {
    const metadata = await run.handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    return metadata.currentDetails ?? '';
  };
  const resources = async (kind: Resource['kind'], vm?: string): Promise<Resource[]> =>
    (await account.ofPlan('shop')).filter(
      (one) => one.kind === kind && (vm === undefined || one.tags['lifeboat:vm'] === vm),
    );

  it(
    'a failover tells which VM, which step and what is wrong, and goes on from there',
    async () => {
      // The volume is made again by itself.
      await sandbox.breakAws(NO_CAPACITY, BAD_VOLUME);
      await silence(DB_AT_RECOVERY_SITE);
      const run = await sandbox.client.failover({ plan: 'shop', mode: 'disaster' });

      // One VM's trouble is not the other's; each tells its own.
      const first = await status(
        run,
        (now) => waits('db', /waitUntilReady: .*not ready/)(now) && waits('web', /no capacity for web/)(now),
      );
      expect(first).toMatchObject({ phase: 'recovering VMs', needsAttention: true });
      expect(first.problem).toBeUndefined();
      const list = sandbox.client.temporal.workflow.list({
        query: 'LifeboatPhase = "needs attention" AND WorkflowType = "failover"',
      });
      const listed = await eventually(120, async () => {
        for await (const { workflowId } of list) return workflowId;
        return undefined;
      });
      expect(listed).toBe(run.workflowId);
      expect(await details(run)).toContain('needs attention');
      expect(await details(run)).toContain('lifeboat retry');

      // What makes no sense changes nothing.
      for (const nonsense of [
        { vm: 'nobody' },
        { instanceTypes: ['m6i.large'] },
        { vm: 'web', instanceTypes: ['-'] },
      ])
        await expect(sandbox.client.retry('shop', nonsense)).rejects.toThrow(NotWaitingError);
      await expect(sandbox.client.retry('other')).rejects.toThrow(NotWaitingError);

      // EC2 takes db's instance, and with it the volumes: others are made, once that is seen.
      const [taken] = await resources('instance', 'db');
      await sandbox.aws.ec2.send(new TerminateInstancesCommand({ InstanceIds: [taken?.id ?? ''] }));
      await eventually(120, async () => ((await resources('volume', 'db')).length === 0 ? true : undefined));
      await sandbox.client.retry('shop', { vm: 'db' });
      await status(run, waits('db', /terminated/));
      const preparedForWeb = (await resources('volume', 'web')).map(({ id }) => id).sort();
      expect(preparedForWeb).toHaveLength(2);
      expect(await sandbox.client.retry('shop', { vm: 'db' })).toMatchObject({ vms: ['db'] });
      await status(run, waits('db', /waitUntilReady: .*not ready/));
      const [db] = await resources('instance', 'db');

      // Another type for web; what was prepared for it is used.
      await sandbox.breakAws(NO_DNS);
      const command = testIo(process.env, sandbox.config.directory);
      const code = await runCli(
        ['retry', 'shop', '--vm', 'web', '--instance-type', 'c6i.large', '--json'],
        command.io,
      );
      expect({ code, answer: command.json }).toMatchObject({
        code: 0,
        answer: { ok: true, run: { workflowId: run.workflowId }, vms: ['web'] },
      });
      await status(run, (now) => of(now, 'web').phase === 'ready');
      const [web] = await resources('instance', 'web');
      const attached = (await resources('volume', 'web')).filter(({ attachedTo }) => attachedTo === web?.id);
      expect(attached.map(({ id }) => id).sort()).toEqual(preparedForWeb);

      // Somebody makes db answer: its instance stays. Then DNS is refused, which is no VM's fault.
      await silence();
      await sandbox.client.retry('shop');
      const last = await status(run, ({ problem }) => problem !== undefined);
      expect(last).toMatchObject({ phase: 'moving DNS', needsAttention: true });
      expect(last.problem).toMatch(/moveDns: .*You may not/);
      expect(await account.address(NAME)).toBe(HOME);
      await sandbox.mendAws();
      expect(await sandbox.client.retry('shop')).toMatchObject({ vms: [] });

      const { vms } = await run.result();
      expect(vms).toEqual([
        expect.objectContaining({ vm: 'db', instanceId: db?.id, privateAddress: DB_AT_RECOVERY_SITE }),
        expect.objectContaining({ vm: 'web', instanceId: web?.id, instanceType: 'c6i.large' }),
      ]);
      expect(await account.address(NAME)).toBe(vms[1]?.privateAddress);
      expect((await resources('instance')).map(({ id }) => id).sort()).toEqual([db?.id, web?.id].sort());
      expect(await resources('volume')).toHaveLength(4);
      await expect(sandbox.client.retry('shop')).rejects.toThrow(NotWaitingError);
    },
    STEP_MS,
  );

  it(
    'a failback waits while the instances serve, and comes home',
    async () => {
      for (const vm of await sandbox.site.hypervisor.listVms()) await sandbox.site.hypervisor.deleteVm(vm);
      await sandbox.breakAws(NO_SNAPSHOTS);
      const run = await sandbox.client.failback({ plan: 'shop' });
      await status(run, (now) =>
        ['db', 'web'].every((vm) => waits(vm, /snapshotInstance: .*You may not/)(now)),
      );
      for (const { state } of await resources('instance')) expect(state).toBe('running');

      // What is tried again and again is told, too, while nobody has to do anything.
      await sandbox.breakAws(OVERLOADED);
      const { vms } = await sandbox.client.retry('shop');
      expect(vms.sort()).toEqual(['db', 'web']);
      const trying = await status(run, (now) => of(now, 'web').trouble !== undefined);
      expect(of(trying, 'web').trouble).toMatch(
        /^checkDiskFits is tried again, its attempt 3 failed: .*busy/,
      );
      expect(trying.needsAttention).toBe(false);
      expect(await details(run)).toContain('is tried again');

      await sandbox.mendAws();
      await run.result();
      expect(await account.address(NAME)).toBe(HOME);
      await (await sandbox.client.commit({ plan: 'shop' })).result();
    },
    STEP_MS,
  );

  it(
    'a run that waits is taken back when it is cancelled, and at once where that was asked for',
    async () => {
      const nothingLeft = async () => {
        expect((await account.ofPlan('shop')).filter(({ kind }) => kind !== 'snapshot')).toEqual([]);
        expect(await account.address(NAME)).toBe(HOME);
      };
      await sandbox.breakAws(NO_CAPACITY);
      const waiting = await sandbox.client.failover({ plan: 'shop', mode: 'disaster' });
      await status(waiting, waits('web', /no capacity/));
      const command = testIo(process.env, sandbox.config.directory);
      expect(await runCli(['cancel', 'shop', '--yes', '--json'], command.io)).toBe(0);
      expect(command.json).toMatchObject({
        ...{ ok: true, outcome: 'cancelled', left: [] },
        takesBack: ['remove what the run made', "give the plan's state back"],
        made: { instances: [expect.any(String)], snapshots: [] },
      });
      expect(command.err).toContain('What was written on these instances since they were started is lost.');
      await expect(waiting.result()).rejects.toMatchObject({ outcome: 'cancelled' });
      await nothingLeft();

      const failing = await sandbox.client.failover({ plan: 'shop', mode: 'disaster', onFailure: 'undo' });
      const failure: unknown = await failing.result().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(RunFailedError);
      expect(failure).toMatchObject({ message: expect.stringMatching(/web: .*no capacity/) });
      await nothingLeft();
    },
    STEP_MS,
  );

  it(
    'no secret is in what the runs and their workers have written',
    async () => {
      const written: { where: string; text: string }[] = [];
      const { workflow } = sandbox.client.temporal;
      for await (const { workflowId, runId } of workflow.list()) {
        const history = await workflow.getHandle(workflowId, runId).fetchHistory();
        written.push({ where: `${workflowId} ${runId}`, text: textOf(history) });
      }
      for (const name of await readdir(sandbox.paths.logs))
        written.push({ where: name, text: await readFile(join(sandbox.paths.logs, name), 'utf8') });
      const { secretAccessKey, accessKeyId } = sandbox.config;
      const everything = written.map(({ text }) => text).join('\n');
      // What is looked for would be found: the failure that had the signature in it, and the script, by its name.
      expect(everything).toContain('You may not (X-Amz-Security-Token=…');
      expect(everything).toContain(sha256);
      for (const secret of [SCRIPT_SECRET, secretAccessKey, accessKeyId, 'FwoGZXIv', '5d672d79c15b'])
        expect(written.filter(({ text }) => text.includes(secret)).map(({ where }) => where)).toEqual([]);
    },
    STEP_MS,
  );
});

/** All text in a history, its payloads included, which are bytes of JSON. */
function textOf(part: unknown): string {
  if (part instanceof Uint8Array) return Buffer.from(part).toString('utf8');
  if (typeof part !== 'object' || part === null) return String(part);
  return Object.values(part).map(textOf).join(' ');
}
