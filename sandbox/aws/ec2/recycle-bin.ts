import {
  type ListSnapshotsInRecycleBinRequest,
  type ListSnapshotsInRecycleBinResult,
} from '@aws-sdk/client-ec2';
import { type Account } from '../account';
import { AwsError } from '../wire/errors';
import { page } from './paging';

/** The account's Recycle Bin. There are no rules here, so that nothing comes into it but what it begins with. */
export function recycleBinHandlers({ config }: Account) {
  return {
    ListSnapshotsInRecycleBin(input: ListSnapshotsInRecycleBinRequest): ListSnapshotsInRecycleBinResult {
      const all = config.fixtures.recycleBin ?? [];
      const ids = input.SnapshotIds ?? [];
      const missing = ids.find((wanted) => !all.some(({ id }) => id === wanted));
      if (missing !== undefined)
        throw new AwsError('InvalidSnapshot.NotFound', `The snapshot '${missing}' does not exist.`);
      const { items, NextToken } = page(
        all.filter(({ id }) => ids.length === 0 || ids.includes(id)),
        input,
      );
      return {
        Snapshots: items.map(({ id, description, createdAt }) => ({
          SnapshotId: id,
          Description: description,
          RecycleBinEnterTime: new Date(createdAt),
        })),
        NextToken,
      };
    },
  };
}
