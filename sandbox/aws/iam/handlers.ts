import { type GetInstanceProfileRequest, type GetInstanceProfileResponse } from '@aws-sdk/client-iam';
import { type Account } from '../account';
import { instanceProfileArn, instanceProfileView } from '../ec2/instances/instance-profiles';
import { AwsError } from '../wire/errors';

/** The account's instance profiles, whose roles have no policies: nothing in the sandbox's instances asks AWS. */
export function iamHandlers({ config }: Account) {
  return {
    GetInstanceProfile({
      InstanceProfileName: name = '',
    }: GetInstanceProfileRequest): GetInstanceProfileResponse {
      if (!(config.fixtures.instanceProfiles ?? []).includes(name))
        throw new AwsError('NoSuchEntity', `Instance Profile ${name} cannot be found.`, 404);
      const arn = instanceProfileArn(name);
      return {
        InstanceProfile: {
          Path: '/',
          InstanceProfileName: name,
          InstanceProfileId: instanceProfileView(arn)?.Id,
          Arn: arn,
          CreateDate: new Date(0),
          Roles: [],
        },
      };
    },
  };
}
