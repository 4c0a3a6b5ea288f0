import { type Account } from '../../account';
import { type BucketStore } from '../../s3/buckets';
import { type Authorization } from '../evaluation/evaluate';

/** What is asked of a principal's policies for one call. */
export interface Asked extends Authorization {
  /**
   * Whether the resource is not there. AWS's documents do not say which comes first then, the permission or "not found"; here, who may
   * do it to anything at all is told that there is no such thing.
   */
  absent?: true;
}

/** What calls are looked up in: tags above all. */
export interface AccountView {
  account: Account;
  buckets: BucketStore;
}

/**
 * What each call of a service asks for, by operation: actions, resources and condition keys as in AWS's Service Authorization Reference.
 * All of it has to be allowed. An empty list: anybody may.
 */
export type CallMapping = Readonly<Record<string, (input: never, view: AccountView) => Asked[]>>;

/** An action on no resource. */
export const onAll = (action: string, context: Asked['context'] = {}): Asked => ({
  action,
  resource: '*',
  context,
});
