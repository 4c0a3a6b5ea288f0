import type * as iam from '@aws-sdk/client-iam';
import type * as kms from '@aws-sdk/client-kms';
import type * as quotas from '@aws-sdk/client-service-quotas';
import type * as sns from '@aws-sdk/client-sns';
import { type Account, ACCOUNT_ID } from '../../account';
import { instanceProfileArn } from '../../ec2/instances/instance-profiles';
import { sealedBy } from '../../kms/sealed-keys';
import { type CallMapping, onAll } from './mapping';

export const iamCalls: CallMapping = {
  GetInstanceProfile: ({ InstanceProfileName }: iam.GetInstanceProfileRequest) => [
    {
      action: 'iam:GetInstanceProfile',
      resource: instanceProfileArn(InstanceProfileName ?? ''),
      context: {},
    },
  ],
};

const keyArn = (id: string, { config }: Account): string =>
  id.startsWith('arn:') ? id : `arn:aws:kms:${config.region}:${ACCOUNT_ID}:key/${id}`;

/** "kms:EncryptionContext:context-key", AWS KMS Developer Guide. */
const encryptionContext = (context: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(context).map(([name, value]) => [`kms:EncryptionContext:${name}`, value]),
  );

export const kmsCalls: CallMapping = {
  DescribeKey: ({ KeyId = '' }: kms.DescribeKeyRequest, { account }) => [
    { action: 'kms:DescribeKey', resource: keyArn(KeyId, account), context: {} },
  ],
  GenerateDataKey: ({ KeyId = '', EncryptionContext }: kms.GenerateDataKeyRequest, { account }) => [
    {
      action: 'kms:GenerateDataKey',
      resource: keyArn(KeyId, account),
      context: encryptionContext(EncryptionContext),
    },
  ],
  // Of whichever key has encrypted it; what is no ciphertext of the account is refused by the handler.
  Decrypt: ({ KeyId, CiphertextBlob, EncryptionContext }: kms.DecryptRequest, { account }) => [
    {
      action: 'kms:Decrypt',
      resource: sealedBy(CiphertextBlob ?? new Uint8Array()) ?? keyArn(KeyId ?? '', account),
      context: encryptionContext(EncryptionContext),
    },
  ],
};

export const quotaCalls: CallMapping = {
  GetServiceQuota: ({ ServiceCode, QuotaCode }: quotas.GetServiceQuotaRequest, { account }) => [
    {
      action: 'servicequotas:GetServiceQuota',
      resource: `arn:aws:servicequotas:${account.config.region}:${ACCOUNT_ID}:${ServiceCode}/${QuotaCode}`,
      context: { 'servicequotas:service': ServiceCode ?? '' },
    },
  ],
  GetAWSDefaultServiceQuota: () => [onAll('servicequotas:GetAWSDefaultServiceQuota')],
  ListServiceQuotas: () => [onAll('servicequotas:ListServiceQuotas')],
};

export const snsCalls: CallMapping = {
  Publish: ({ TopicArn = '' }: sns.PublishInput) => [
    { action: 'sns:Publish', resource: TopicArn, context: {} },
  ],
};

export const stsCalls: CallMapping = {
  // Nobody needs a permission for it, and none can take it away ("GetCallerIdentity", AWS STS API Reference).
  GetCallerIdentity: () => [],
  // A role's trust policy has its say in this, too: the handler judges both.
  AssumeRole: () => [],
};
