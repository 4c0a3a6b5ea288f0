import { CreateVolumeCommand, DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import { tagList } from '../../activities/aws-proxy/account/tags';
import { takePlanState } from '../../repository/plans/plan-state';
import { PROXY_AVAILABILITY_ZONE } from '../../sandbox/aws/fixtures';
import { listSnapshotIds } from '../support/failover-listing';
import { type FailoverSite } from '../support/failover-site';
import { type FailoverSteps, idsOf, openFailoverSteps } from '../support/failover-steps';

let steps: FailoverSteps;
let site: FailoverSite;
beforeAll(async () => {
  steps = await openFailoverSteps();
  ({ site } = steps);
});
afterAll(() => site.stop());
afterEach(() => {
  site.faults.length = 0;
});

describe('removeRecoverySite', () => {
  it("removes all runs' resources, and nothing of another plan or with half a tag set, once the state is held", async () => {
    const volumes = await steps.createVolumes('site-run');
    const create = (tags: { Key: string; Value: string }[]) =>
      steps.ec2.send(
        new CreateVolumeCommand({
          AvailabilityZone: PROXY_AVAILABILITY_ZONE,
          Size: 1,
          TagSpecifications: [{ ResourceType: 'volume', Tags: tags }],
        }),
      );
    const kept = await Promise.all([
      create(tagList({ plan: 'other', vm: 'keep', run: 'r', role: 'recovery' })),
      create(tagList({ plan: 'shop', vm: 'keep', role: 'recovery' })),
      create([
        ...tagList({ plan: 'shop', vm: 'keep', run: 'r' }),
        { Key: 'lifeboat:role', Value: 'anything' },
      ]),
      create(tagList({ plan: 'shop', vm: 'keep', run: 'r', role: 'copy-volume' })),
    ]);
    // A test failover that is under way: it holds nothing of the plan, so that nobody waits for it.
    const ofTest = await testUnderWay('test-run');
    const run = site.run('commit-run');
    await expect(site.activity(steps.activities.removeRecoverySite, { run })).rejects.toMatchObject({
      type: 'Fenced',
    });
    expect(await steps.volumesWith({ vm: 'db', run: 'site-run' })).toEqual(idsOf(volumes));

    const { generation } = await takePlanState(site.store, run, ['none'], 'failed-back');
    const { removed } = await site.activity(steps.activities.removeRecoverySite, {
      run: { ...run, generation },
    });
    expect(removed.filter((id) => id.startsWith('vol-'))).toEqual(idsOf(volumes));
    expect(await steps.volumesWith({ vm: 'keep' })).toEqual(kept.map(({ VolumeId }) => VolumeId).sort());
    expect(await listSnapshotIds(steps.ec2, 'db')).toEqual([...steps.drCopySnapshots].sort());
    for (const id of ofTest) expect(removed).not.toContain(id);
    // It removes itself all the same.
    const itself = await site.activity(steps.activities.removeRecoveryResources, {
      run: site.run('test-run'),
    });
    expect(itself.removed).toEqual(expect.arrayContaining(ofTest));
  });

  /** @returns ids of its instance, the instance's root, a volume and an image */
  async function testUnderWay(runId: string): Promise<string[]> {
    const run = { ...site.run(runId), test: true };
    const { imageId } = await steps.shellImage(runId);
    const { activities, drCopy, ec2 } = steps;
    const { instanceId } = await site.activity(activities.launchShell, {
      ...steps.shellRequest(runId, imageId),
      ...{ run, test: true },
    });
    const [volume] = await site.activity(activities.createVolumes, {
      ...{ run, vm: 'db', attempt: 1, drCopy, test: true },
      availabilityZone: PROXY_AVAILABILITY_ZONE,
    });
    const image = await site.activity(activities.registerImage, { run, vm: 'web', drCopy });
    const { Volumes = [] } = await ec2.send(
      new DescribeVolumesCommand({ Filters: [{ Name: 'attachment.instance-id', Values: [instanceId] }] }),
    );
    const [root] = Volumes;
    if (root?.VolumeId === undefined || volume === undefined) throw new Error('The test has no volumes.');
    return [instanceId, root.VolumeId, volume.volumeId, image.imageId];
  }
});
