import { type EC2Client } from '@aws-sdk/client-ec2';
import { copySnapshots, newestSets } from '../../activities/aws-proxy/account/dr-copy';
import { findSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { sample, unixSeconds } from './catalogue';
import { type Facts } from './facts';

/** What the account says of the DR copies of all plans, by one list. A VM without a complete DR copy is not told of. */
export function drCopyFacts(ec2: EC2Client): Facts {
  return {
    source: 'aws',
    async look() {
      const published = copySnapshots(await findSnapshots(ec2, { role: 'dr-copy' }));
      const plans = Map.groupBy(published, ({ tags }) => tags.plan);
      return [...plans].flatMap(([plan, snapshots]) =>
        [...newestSets(snapshots)].map(([vm, { takenAt }]) =>
          sample('lifeboat_dr_copy_recovery_point_timestamp_seconds', { plan, vm }, unixSeconds(takenAt)),
        ),
      );
    },
  };
}
