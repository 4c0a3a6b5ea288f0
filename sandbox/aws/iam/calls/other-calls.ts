import type * as iam from '@aws-sdk/client-iam';
import type * as kms from '@aws-sdk/client-kms';
import type * as quotas from '@aws-sdk/client-service-quotas';
import type * as sns from '@aws-sdk/client-sns';
import { ACCOUNT_ID } from '../../account';
import { type CallMapping, onAll } from './mapping';

export const iamCalls: CallMapping = {
  GetInstanceProfile: ({ InstanceProfileName }: iam.GetInstanceProfileRequest) => [
    {
      action: 'iam:GetInstanceProfile',
      resource: `arn:aws:iam::${ACCOUNT_ID}:instance-profile/${InstanceProfileName}`,
      context: {},
    },
  ],
};

export const kmsCalls: CallMapping = {
  DescribeKey: ({ KeyId = '' }: kms.DescribeKeyRequest, { account }) => [
    {
      action: 'kms:DescribeKey',
      resource: KeyId.startsWith('arn:')
        ? KeyId
        : `arn:aws:kms:${account.config.region}:${ACCOUNT_ID}:key/${KeyId}`,
      context: {},
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
