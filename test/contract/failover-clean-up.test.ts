import { CreateVolumeCommand } from '@aws-sdk/client-ec2';
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
  });
});
