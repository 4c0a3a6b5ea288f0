import { eventually } from '../support/eventually';
import { type FailoverSite } from '../support/failover-site';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';

const RUN = 'boot-scripts';
let steps: FailoverSteps;
let site: FailoverSite;
let instanceId: string;
beforeAll(async () => {
  steps = await openFailoverSteps();
  ({ site } = steps);
  const { imageId } = await steps.shellImage(RUN);
  ({ instanceId } = await site.activity(steps.activities.launchShell, steps.shellRequest(RUN, imageId)));
});
afterAll(() => site.stop());
beforeEach(() => saysOnConsole(''));
afterEach(() => {
  site.faults.length = 0;
  site.calls.length = 0;
});

const saysOnConsole = (text: string): Promise<void> => steps.writeConsole(instanceId, text);
const status = (name: string, exit: number): string =>
  `lifeboat: boot script ${name} of run ${RUN} exit status ${exit}\n`;
const looks = (): number => site.calls.filter(({ operation }) => operation === 'GetConsoleOutput').length;

interface Asked {
  scripts?: string[];
  seconds?: number;
  instance?: string;
}
const awaited = ({ scripts = ['db.sh'], seconds = 60, instance = instanceId }: Asked) => ({
  ...{ vm: 'db', instanceId: instance, scripts, seconds },
});
const read = async (asked: Asked = {}) => {
  const request = { run: site.run(RUN), vms: [awaited(asked)] };
  const [db] = await site.activity(steps.activities.readBootScripts, request);
  return db?.bootScripts;
};
const require = (asked: Asked = {}) =>
  site.activity(steps.activities.requireBootScripts, { run: site.run(RUN), ...awaited(asked) });

describe('boot scripts that nobody waits for', () => {
  it('are asked for until each has a status, and not once more', async () => {
    await saysOnConsole(status('db.sh', 3));
    const both = read({ scripts: ['db.sh', 'in the guest'] });
    await eventually(20, async () => (looks() > 2 ? true : undefined));
    await saysOnConsole(`overwritten\n${status('in_the_guest', 0)}`);
    expect(await both).toEqual([
      { name: 'db.sh', status: 3 },
      { name: 'in the guest', status: 0 },
    ]);
    const asked = looks();
    expect(await read({ scripts: ['in the guest'] })).toEqual([{ name: 'in the guest', status: 0 }]);
    expect(looks()).toBe(asked + 1);
    expect(site.calls.at(-1)?.input).toMatchObject({ InstanceId: instanceId, Latest: true });
  });

  it.each([
    ['', /does not tell in time that it has begun/],
    [`lifeboat: boot script db.sh of run ${RUN} begins\n`, /has begun, and .* in time that it has ended/],
    [`${status('db.sh', 0)}${'x'.repeat(64 * 1024)}`, /may be gone: EC2 keeps the last 64 KiB/],
    [status('db.sh', 0).replace(RUN, 'another'), /in time that it has begun/],
  ])('are unknown after a look where their time is up: %#', async (console, reason) => {
    await saysOnConsole(console);
    expect(await read({ seconds: 0 })).toEqual([
      { name: 'db.sh', status: 'unknown', reason: expect.stringMatching(reason) as string },
    ]);
    expect(looks()).toBe(1);
  });

  it('are read after what passes, and unknown at once after what does not', async () => {
    await saysOnConsole(status('db.sh', 0));
    // EC2 does not know yet everywhere what it has launched.
    site.faults.push({ operation: 'GetConsoleOutput', times: 2, code: 'InvalidInstanceID.NotFound' });
    expect(await read()).toEqual([{ name: 'db.sh', status: 0 }]);
    expect(looks()).toBe(3);
    site.faults.push({ operation: 'GetConsoleOutput', times: 20, code: 'UnauthorizedOperation' });
    expect(await read()).toEqual([
      { name: 'db.sh', status: 'unknown', reason: expect.stringMatching(/ec2:GetConsoleOutput/) as string },
    ]);
  });
});

describe('a boot script that is required', () => {
  it('is waited for, and told', async () => {
    const waiting = require();
    await eventually(20, async () => (looks() > 2 ? true : undefined));
    await saysOnConsole(status('db.sh', 0));
    expect(await waiting).toEqual([{ name: 'db.sh', status: 0 }]);
  });

  it('fails the VM with its status and the end of the console', async () => {
    await saysOnConsole(`cannot reach the licence server\n${status('db.sh', 3)}`);
    await expect(require()).rejects.toMatchObject({
      type: 'BootScriptFailed',
      nonRetryable: true,
      message: expect.stringMatching(
        /db\.sh of db ended with exit status 3\..*\n.*licence server\nlifeboat: boot script/s,
      ) as string,
    });
    expect(looks()).toBe(1);
  });

  it('fails the VM where its status is not known in time', async () => {
    await expect(require({ seconds: 0 })).rejects.toMatchObject({
      type: 'BootScriptFailed',
      nonRetryable: true,
      message: expect.stringMatching(/db\.sh of db is not known: .*has begun\. .*\n\(empty\)$/s) as string,
    });
  });

  it('fails with what AWS says where it lets nobody read the console', async () => {
    site.faults.push({ operation: 'GetConsoleOutput', times: 20, code: 'UnauthorizedOperation' });
    await expect(require()).rejects.toMatchObject({ type: 'NotPermitted' });
  });
});
