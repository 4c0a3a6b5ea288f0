import { createServer, type AddressInfo } from 'node:net';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { findInstanceStatus } from '../../activities/aws-proxy/account/lookup';
import { createLaunchActivities } from '../../activities/aws-proxy/launch/activities';
import { dialer } from '../../activities/dial';
import { runCli } from '../../cli/program';
import { listConsoles, readConsoleOutput, readScreenshot } from '../../repository/plans/consoles';
import { eventually } from '../support/eventually';
import { type FailoverSite } from '../support/failover-site';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';
import { testIo } from '../unit/cli-io';
import { planFolder } from '../unit/plan-file';

const RUN = 'consoles';
let steps: FailoverSteps;
let site: FailoverSite;
let instanceId: string;
beforeAll(async () => {
  steps = await openFailoverSteps();
  ({ site } = steps);
  const { imageId } = await steps.shellImage(RUN);
  ({ instanceId } = await site.activity(steps.activities.launchShell, steps.shellRequest(RUN, imageId)));
  const start = { run: site.run(RUN), vm: 'db', instanceId, instanceType: 'm6i.large' };
  await site.activity(steps.activities.startInstance, start);
  await steps.writeConsole(instanceId, 'fsck: UNEXPECTED INCONSISTENCY\n');
});
afterAll(() => site.stop());
afterEach(() => {
  site.faults.length = 0;
  site.calls.length = 0;
});

const keep = (activities = steps.activities, runId = RUN) =>
  site.activity(activities.keepConsoles, { run: site.run(runId), vms: [{ vm: 'db', instanceId }] });
const kept = () => listConsoles(site.store, 'shop', 'db');
const looks = (operation: string): number => site.calls.filter((call) => call.operation === operation).length;

describe('what a console shows', () => {
  it('is kept with the run, once however often it is looked at', async () => {
    // EC2's checks take their time.
    await eventually(20, async () => {
      const status = await findInstanceStatus(steps.ec2, instanceId);
      return status?.InstanceStatus?.Status === 'ok' ? true : undefined;
    });
    await keep();
    expect(await keep()).toEqual([
      {
        vm: 'db',
        console: {
          takenAt: expect.any(String) as string,
          statusChecks: { system: 'ok', instance: 'ok' },
          screenshot: `consoles/shop/db/${RUN}/ready.jpg`,
          output: `consoles/shop/db/${RUN}/ready.txt`,
        },
        warnings: [],
      },
    ]);
    const [found, ...more] = await kept();
    expect(more).toEqual([]);
    const picture = await readScreenshot(site.store, found?.screenshot ?? '');
    expect(picture.length).toBeGreaterThan(1000);
    expect(await readConsoleOutput(site.store, found?.output ?? '')).toBe('fsck: UNEXPECTED INCONSISTENCY\n');
  });

  it('is a warning where it cannot be had, after what passes has been tried again', async () => {
    site.faults.push({ operation: 'GetConsoleScreenshot', times: 20, code: 'UnauthorizedOperation' });
    site.faults.push({ operation: 'GetConsoleOutput', times: 2, code: 'InternalError' });
    site.faults.push({ operation: 'DescribeInstanceStatus', times: 20, code: 'InternalError' });
    expect(await keep(steps.activities, 'refused')).toEqual([
      {
        vm: 'db',
        console: {
          takenAt: expect.any(String) as string,
          output: 'consoles/shop/db/refused/ready.txt',
        },
        warnings: expect.arrayContaining([
          expect.stringMatching(/^Could not take a picture of the screen of db: .*ec2:GetConsoleScreenshot/),
          expect.stringMatching(/^Could not ask for the status checks of db: /),
        ]) as string[],
      },
    ]);
    expect(looks('GetConsoleScreenshot')).toBe(1);
    expect(looks('DescribeInstanceStatus')).toBe(3);
  });

  it.each([
    [Buffer.from('<html>').toString('base64'), 'it is no JPEG picture'],
    ['', 'it is no JPEG picture'],
    ['/9j/'.repeat(400_000), 'it has 1600000 letters of base64, more than any screen of EC2'],
  ])('is a warning where AWS gives something else than a picture: %#', async (ImageData, problem) => {
    const ec2 = Object.create(steps.ec2) as EC2Client;
    const send = (command: { constructor: { name: string } }): Promise<unknown> =>
      command.constructor.name === 'GetConsoleScreenshotCommand'
        ? Promise.resolve({ ImageData })
        : steps.ec2.send(command as never);
    Object.assign(ec2, { send });
    const activities = createLaunchActivities({
      ...{ ec2, ebs: site.clients.ebs, objectStore: () => site.store },
      ...{ dial: dialer([]), pollSeconds: 0.05 },
    });
    const [db] = await keep(activities as typeof steps.activities, 'hostile');
    expect(db?.console).not.toHaveProperty('screenshot');
    expect(db?.warnings).toEqual([expect.stringContaining(problem)]);
  });

  it('is kept of a VM that does not answer, whose failure says where it is, and how the checks stand', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const input = {
      ...{ run: site.run('mute'), vm: 'db', instanceId, address: '127.0.0.1' },
      probe: { tcp: port, timeout: 0.1 },
    };
    await expect(site.activity(steps.activities.waitUntilReady, input)).rejects.toMatchObject({
      type: 'NotReady',
      message: expect.stringMatching(
        /ECONNREFUSED.*\. EC2's status checks: system ok, instance ok\. Its screen: s3:\/\/[^ ]*consoles\/shop\/db\/mute\/not-ready\.jpg \("lifeboat console shop db .* The console's end:\nfsck: /,
      ) as string,
    });
    expect(looks('GetConsoleOutput')).toBe(1);
    expect((await kept()).find(({ runId }) => runId === 'mute')).toMatchObject({ outcome: 'not-ready' });

    site.faults.push({ operation: 'GetConsoleScreenshot', times: 20, code: 'UnsupportedOperation' });
    await expect(site.activity(steps.activities.waitUntilReady, input)).rejects.toMatchObject({
      type: 'NotReady',
      message: expect.stringMatching(
        /instance ok\. Could not take a picture.* The console's end:\nfsck: /s,
      ) as string,
    });
  });
});

describe('the command "console"', () => {
  const folder = planFolder();
  afterAll(() => folder.remove());

  async function shown(...argv: string[]) {
    const before = { ...process.env };
    const { repository } = site.run(RUN);
    Object.assign(process.env, { AWS_ENDPOINT_URL: repository.endpoint, AWS_REGION: repository.region });
    try {
      const world = testIo(process.env, folder.directory);
      const exitCode = await runCli(['console', folder.file, ...argv], world.io);
      return { exitCode, out: world.out, err: world.err };
    } finally {
      process.env = before;
    }
  }

  it('shows what there is, or that of a run, and writes the picture', async () => {
    await site.activity(steps.activities.keepConsoles, {
      ...{ run: site.run('shown'), vms: [{ vm: 'app', instanceId }] },
    });
    expect(await shown('app')).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(
        /^app: ready in the run shown.*\nIts screen: consoles\/shop\/app\/shown\/ready\.jpg .*\nfsck: /,
      ) as string,
    });
    const { exitCode, out } = await shown('app', '--run', 'shown', '--out', 'app.jpg', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ...{
        command: 'console',
        ok: true,
        plan: 'shop',
        vm: 'app',
        runId: 'shown',
        ready: true,
        out: 'app.jpg',
      },
      lines: ['fsck: UNEXPECTED INCONSISTENCY'],
    });
    expect(await readFile(join(folder.directory, 'app.jpg'))).toEqual(
      await readScreenshot(site.store, 'consoles/shop/app/shown/ready.jpg'),
    );
  });

  it.each([
    [
      ['db', '--run', 'unheard-of'],
      /nothing of the console of db in the run "unheard-of" .* the runs .*consoles/,
    ],
    [['web'], /nothing of the console of web in any failover of the plan shop\.\n/],
    [['../db'], /"\.\.\/db" is no name/],
  ])('says what there is where there is nothing: %j', async (argv, words) => {
    expect(await shown(...argv)).toMatchObject({ exitCode: 2, err: expect.stringMatching(words) as string });
  });
});

describe('status checks', () => {
  it('of all VMs that an activity looks at cost as many calls as there are answers', async () => {
    const vms = Array.from({ length: 30 }, (_, n) => ({ vm: `vm-${n}`, instanceId }));
    const all = await site.activity(steps.activities.keepConsoles, { run: site.run('many'), vms });
    expect(all.map(({ vm }) => vm).sort()).toEqual(vms.map(({ vm }) => vm).sort());
    expect(all.every(({ console }) => console.statusChecks?.instance === 'ok')).toBe(true);
    expect(looks('GetConsoleScreenshot')).toBe(30);
    expect(looks('DescribeInstanceStatus')).toBe(1);
  });

  it('of many are asked for together, and one that is gone keeps nobody from the others', async () => {
    const ids = Array.from({ length: 120 }, (_, n) => `i-${n.toString(16).padStart(17, '0')}`);
    const found = await Promise.all([...ids, instanceId].map((id) => findInstanceStatus(steps.ec2, id)));
    expect(found.map((one) => one?.InstanceId)).toEqual([...ids.map(() => undefined), instanceId]);
    site.calls.length = 0;
    expect(
      await Promise.all(Array.from({ length: 50 }, () => findInstanceStatus(steps.ec2, instanceId))),
    ).toHaveLength(50);
    expect(looks('DescribeInstanceStatus')).toBe(1);
  });
});
