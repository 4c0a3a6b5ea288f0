import { type DescribeKeyRequest, type DescribeKeyResponse } from '@aws-sdk/client-kms';
import { type Account, ACCOUNT_ID } from '../account';
import { managedKey } from '../ec2/encryption';
import { AwsError } from '../wire/errors';

/** The account's keys, which are told of and encrypt nothing. */
export function kmsHandlers(account: Account) {
  return {
    DescribeKey({ KeyId = '' }: DescribeKeyRequest): DescribeKeyResponse {
      const managed = managedKey(account);
      const keys = { [managed]: 'Enabled' as const, ...account.config.fixtures.kmsKeys };
      const arn = Object.keys(keys).find((key) => key === KeyId || key.endsWith(`:key/${KeyId}`));
      const state = arn === undefined ? undefined : keys[arn];
      if (arn === undefined || state === undefined)
        throw new AwsError('NotFoundException', `Key '${KeyId}' does not exist`);
      return {
        KeyMetadata: {
          AWSAccountId: ACCOUNT_ID,
          Arn: arn,
          KeyId: arn.slice(arn.lastIndexOf('/') + 1),
          KeyState: state,
          Enabled: state === 'Enabled',
          KeyManager: arn === managed ? 'AWS' : 'CUSTOMER',
          KeyUsage: 'ENCRYPT_DECRYPT',
          KeySpec: 'SYMMETRIC_DEFAULT',
          Origin: 'AWS_KMS',
        },
      };
    },
  };
}
