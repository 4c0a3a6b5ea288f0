import { CreateVolumeCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { Client } from '@temporalio/client';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { randomUUID } from 'node:crypto';
import { tagList } from '../../activities/aws-proxy/account/tags';
import { leftoversText } from '../../cli/commands/sweep';
import { planSweep, sweep } from '../../client/sweep';
import { takePlanState } from '../../repository/plans/plan-state';
import { PROXY_AVAILABILITY_ZONE } from '../../sandbox/aws/fixtures';
import { listSnapshotIds } from '../support/failover-listing';
import { ANY_AGE } from '../support/any-age';
import { type FailoverSteps, idsOf, openFailoverSteps } from '../support/failover-steps';
import { workflowId } from '../../workflows/run/ids';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { describeWithTemporal, startTemporal } from '../workflows/local-temporal';

describeWithTemporal('sweep', () => {
  let temporal: TestWorkflowEnvironment;
  let client: Client;
  let steps: FailoverSteps;
  beforeAll(async () => {
    temporal = await startTemporal();
    client = temporal.client;
  }, 60_000);
  afterAll(() => temporal?.teardown());
  beforeEach(async () => {
    steps = await openFailoverSteps();
  }, 60_000);
  afterEach(() => steps.site.stop());

  const site = () => ({ ec2: steps.ec2, store: steps.site.store, temporal: client, pollSeconds: 0.05 });

  /** A run that is under way, as nobody works on it. */
  async function liveRun(): Promise<string> {
    const id = workflowId('shop', 'failover', 'test');
    const { firstExecutionRunId } = await client.workflow.start('failover', {
      workflowId: id,
      taskQueue: `${CONTROL_QUEUE}-${randomUUID()}`,
      args: [{}],
    });
    return firstExecutionRunId;
  }

  const registerLaunchImage = async (runId: string): Promise<string> => {
    const input = { run: steps.site.run(runId), vm: 'db', drCopy: steps.drCopy };
    return (await steps.site.activity(steps.activities.registerImage, input)).imageId;
  };

  const foreignVolume = async (tags: { Key: string; Value: string }[]): Promise<string> => {
    const { VolumeId = '' } = await steps.ec2.send(
      new CreateVolumeCommand({
        AvailabilityZone: PROXY_AVAILABILITY_ZONE,
        Size: 1,
        VolumeType: 'gp3',
        ...(tags.length > 0 ? { TagSpecifications: [{ ResourceType: 'volume', Tags: tags }] } : {}),
      }),
    );
    return VolumeId;
  };

  it('removes what a run that has ended left, and nothing of a live run, a DR copy, or anybody else', async () => {
    const image = await registerLaunchImage('dead-run');
    const left = await steps.createVolumes('dead-run');
    const { imageId } = await steps.shellImage('dead-run');
    const { instanceId } = await steps.site.activity(
      steps.activities.launchShell,
      steps.shellRequest('dead-run', imageId),
    );
    const runId = await liveRun();
    const needed = idsOf(await steps.createVolumes(runId));
    const whole = { plan: 'shop', vm: 'db', run: 'dead-run', role: 'recovery' } as const;
    const foreign = [
      await foreignVolume([]),
      await foreignVolume([{ Key: 'Name', Value: 'lifeboat:plan=shop' }]),
      await foreignVolume(tagList({ plan: 'shop', vm: 'db', role: 'recovery' })),
      await foreignVolume(tagList({ ...whole, plan: 'other' })),
      await foreignVolume([
        ...tagList({ plan: 'shop', vm: 'db', run: 'x' }),
        { Key: 'lifeboat:role', Value: 'mine' },
      ]),
    ];
    const before = steps.site.calls.length;
    const planned = await planSweep('shop', site(), ANY_AGE);
    expect(
      steps.site.calls.slice(before).filter(({ operation }) => !/^(Describe|Get)/.test(operation)),
    ).toEqual([]);
    const ids = planned.leftovers.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([instanceId, image, ...idsOf(left)]));
    for (const id of [...needed, ...foreign, ...steps.drCopySnapshots]) expect(ids).not.toContain(id);
    for (const { runId: made, reason } of planned.leftovers)
      expect([made, reason]).toEqual(['dead-run', expect.stringMatching(/\w/)]);
    // 2 and 1 GiB of gp3; an instance that is stopped costs nothing itself.
    const volumes = planned.leftovers.filter(({ id }) => idsOf(left).includes(id));
    expect(volumes.map(({ monthlyCost }) => monthlyCost?.toFixed(2)).sort()).toEqual(['0.08', '0.16']);
    expect(planned.leftovers.find(({ id }) => id === instanceId)).toMatchObject({
      state: 'stopped',
      monthlyCost: 0,
    });
    expect(leftoversText('shop', planned.leftovers)).toContain(instanceId);

    const removed = await sweep(planned, site());
    expect(removed).toEqual(expect.arrayContaining([instanceId, image, ...idsOf(left)]));
    expect(await steps.volumesWith({ run: 'dead-run', plan: 'shop' })).toEqual([]);
    expect(await steps.volumesWith({ run: runId })).toEqual(needed);
    expect(await steps.volumesWith({ plan: 'other' })).toEqual([foreign[3]]);
    expect(await listSnapshotIds(steps.ec2, 'db')).toEqual([...steps.drCopySnapshots].sort());
    expect((await planSweep('shop', site(), ANY_AGE)).leftovers).toEqual([]);
    await client.workflow.getHandle(workflowId('shop', 'failover', 'test')).terminate();
    expect((await planSweep('shop', site(), ANY_AGE)).leftovers.map(({ id }) => id).sort()).toEqual(needed);
  }, 60_000);

  it('leaves the volumes of an instance that is going to it', async () => {
    await steps.site.stop();
    steps = await openFailoverSteps(undefined, { instanceStop: 1.5 });
    await steps.createVolumes('dead-run');
    const { imageId } = await steps.shellImage('dead-run');
    const { instanceId } = await steps.site.activity(
      steps.activities.launchShell,
      steps.shellRequest('dead-run', imageId),
    );
    const going = await steps.ec2.send(new TerminateInstancesCommand({ InstanceIds: [instanceId] }));
    expect(going.TerminatingInstances?.[0]?.CurrentState?.Name).toBe('shutting-down');
    await sweep(await planSweep('shop', site(), ANY_AGE), site());
    expect(await steps.volumesWith({ run: 'dead-run', plan: 'shop' })).toEqual([]);
    expect(steps.site.calls.filter(({ operation }) => operation === 'DetachVolume')).toEqual([]);
  });

  it('leaves alone what is young', async () => {
    await steps.createVolumes('dead-run');
    expect((await planSweep('shop', site())).leftovers).toEqual([]);
  });

  it('leaves alone what the application runs on while it is away, also when it gets there in between', async () => {
    const volumes = await steps.createVolumes('dead-run');
    const planned = await planSweep('shop', site(), ANY_AGE);
    expect(planned.leftovers.map(({ id }) => id).sort()).toEqual(idsOf(volumes));
    await takePlanState(steps.site.store, steps.site.run('dead-run'), ['none'], 'failed-over');
    expect((await planSweep('shop', site(), ANY_AGE)).leftovers).toEqual([]);
    expect(await sweep(planned, site())).toEqual([]);
    expect(await steps.volumesWith({ run: 'dead-run' })).toEqual(idsOf(volumes));
    // What a test has left is of no use to what is away.
    const whole = { plan: 'shop', vm: 'db', run: 'dead-test', role: 'recovery', mode: 'test' } as const;
    const ofTest = await foreignVolume(tagList(whole));
    expect((await planSweep('shop', site(), ANY_AGE)).leftovers.map(({ id }) => id)).toEqual([ofTest]);
  });

  it('removes nothing where Temporal does not say which runs are under way', async () => {
    await steps.createVolumes('dead-run');
    const silent = {
      ...site(),
      temporal: new Client({ connection: client.connection, namespace: 'nowhere' }),
    };
    await expect(planSweep('shop', silent, ANY_AGE)).rejects.toThrow(/nowhere|not found/i);
  });
});
