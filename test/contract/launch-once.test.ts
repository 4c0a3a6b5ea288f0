import { PROXY_AVAILABILITY_ZONE } from '../../sandbox/aws/fixtures';
import { type Fault } from '../support/failover-site';
import { type FailoverSteps, idsOf, openFailoverSteps } from '../support/failover-steps';
import { retried, runActivity } from './run-activity';

/** What has been launched is gone on from: a later look that is refused, or fails, launches nothing again. */
describe('what an activity has launched', () => {
  let steps: FailoverSteps;
  let imageId: string;
  beforeAll(async () => {
    steps = await openFailoverSteps();
    ({ imageId } = await steps.shellImage('image-run'));
  });
  afterAll(() => steps.site.stop());
  beforeEach(() => {
    steps.site.calls.length = 0;
  });
  afterEach(() => {
    jest.restoreAllMocks();
    steps.site.faults.length = 0;
  });

  const made = (operation: string) => steps.site.calls.filter((call) => call.operation === operation).length;
  const fault = (operation: string, code: string, times: number, more: Partial<Fault> = {}) =>
    steps.site.faults.push({ operation, code, times, ...more });

  it('is waited for although AWS refuses to be asked so often: launchShell launches once, in one try', async () => {
    // The client asks nine times before it gives a call up; its waits are a random part of a bound.
    jest.spyOn(Math, 'random').mockReturnValue(0.01);
    fault('DescribeInstances', 'RequestLimitExceeded', 2 * 9);
    fault('StopInstances', 'RequestLimitExceeded', 9);
    const request = steps.shellRequest('throttled-run', imageId);
    const { instanceId } = await steps.site.activity(steps.activities.launchShell, request);
    expect(made('RunInstances')).toBe(1);
    expect(made('StopInstances')).toBe(9 + 1);
    expect(await steps.describeInstance(instanceId)).toMatchObject({ State: { Name: 'stopped' } });
    await steps.removeRun('throttled-run');
  });

  it('is gone on from by the tries after one that failed: RunInstances', async () => {
    fault('DescribeInstances', 'InternalError', 2);
    const request = steps.shellRequest('failing-run', imageId);
    const { result, tries } = await retried(steps.activities.launchShell, request);
    expect([tries, made('RunInstances')]).toEqual([3, 1]);
    // Without heartbeats, as after a worker's death, by the client token.
    expect(await steps.site.activity(steps.activities.launchShell, request)).toEqual(result);
    expect(made('RunInstances')).toBe(2);
    await steps.removeRun('failing-run');
  });

  it('is gone on from by the tries after one that failed: CreateVolume', async () => {
    fault('DescribeVolumes', 'InternalError', 2);
    const { result, tries } = await retried(steps.activities.createVolumes, {
      run: steps.site.run('volumes-run'),
      vm: 'db',
      attempt: 1,
      drCopy: steps.drCopy,
      availabilityZone: PROXY_AVAILABILITY_ZONE,
      test: false,
    });
    expect([tries, made('CreateVolume')]).toEqual([3, steps.drCopy.disks.length]);
    expect(await steps.volumesWith({ run: 'volumes-run' })).toEqual(idsOf(result));
    await steps.removeRun('volumes-run');
  });

  it('is gone on from by the tries after one that failed: ModifyInstanceAttribute', async () => {
    const run = steps.site.run('attaching-run');
    const volumes = await steps.createVolumes(run.runId);
    const request = steps.shellRequest(run.runId, imageId);
    const { instanceId } = await steps.site.activity(steps.activities.launchShell, request);
    // The look for volumes of a proxy that died, which comes after everything is attached.
    fault('DescribeVolumes', 'InternalError', 1, {
      matches: ({ Filters }) => /^(?!.*shell).*tag:/.test(JSON.stringify(Filters)),
    });
    const attach = { run, vm: 'db', instanceId, volumes };
    const { tries } = await retried(steps.activities.attachVolumes, attach);
    expect([tries, made('AttachVolume'), made('ModifyInstanceAttribute')]).toEqual([2, volumes.length, 1]);
    const { BlockDeviceMappings } = await steps.describeInstance(instanceId);
    expect(BlockDeviceMappings?.map(({ Ebs }) => Ebs?.DeleteOnTermination)).toEqual(volumes.map(() => true));
    await steps.removeRun(run.runId);
  });

  it('is not believed of heartbeats that say something else', async () => {
    const request = steps.shellRequest('strange-run', imageId);
    const ids = new Set<string>();
    for (const heartbeatDetails of [
      undefined,
      null,
      'i-1',
      { launched: 'i-1' },
      { launched: { RunInstances: 1 } },
    ])
      ids.add((await runActivity(steps.activities.launchShell, request, 2, heartbeatDetails)).instanceId);
    expect(ids.size).toBe(1);
    await steps.removeRun('strange-run');
  });
});
