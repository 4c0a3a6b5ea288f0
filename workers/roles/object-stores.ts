import { s3Client } from '../../activities/aws-proxy/account/single-clients';
import { type RepositoryAddress } from '../../plan/run';
import { type LimitedSending } from '../../repository/objects/limited-sending';
import { type ObjectStore, s3ObjectStore } from '../../repository/objects/object-store';
import { type WorkerSettings } from '../settings';

export type ObjectStores = (address: RepositoryAddress, sending?: LimitedSending) => ObjectStore;

/** The repository as this worker reaches it: bucket and prefix are the run's, the endpoint is the worker's own. */
export function objectStores({ region, repository }: WorkerSettings): ObjectStores {
  const client = s3Client({ region, endpoint: repository.endpoint });
  return (address, sending) => s3ObjectStore(client, address, sending);
}
