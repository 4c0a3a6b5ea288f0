import { type IamInstanceProfile, type IamInstanceProfileSpecification } from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID } from '../../account';
import { derivedId } from '../../state/ids';
import { AwsError } from '../../wire/errors';

/** The account has those of its fixtures, which are in no path. */
export const instanceProfileArn = (name: string): string =>
  `arn:aws:iam::${ACCOUNT_ID}:instance-profile/${name}`;

/**
 * The ARN of the profile that a launch names.
 * @throws AwsError InvalidParameterValue, in the words that people have seen EC2 say
 */
export function findInstanceProfile(
  { config }: Account,
  wanted: IamInstanceProfileSpecification | undefined,
): string | undefined {
  if (wanted === undefined) return undefined;
  const names = config.fixtures.instanceProfiles ?? [];
  const { Name, Arn } = wanted;
  if (Name !== undefined && Arn !== undefined)
    throw new AwsError(
      'InvalidParameterCombination',
      "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'",
    );
  const found = names.find((name) => name === Name || instanceProfileArn(name) === Arn);
  if (found !== undefined) return instanceProfileArn(found);
  throw Name === undefined
    ? new AwsError(
        'InvalidParameterValue',
        `Value (${Arn ?? ''}) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN`,
      )
    : new AwsError(
        'InvalidParameterValue',
        `Value (${Name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name`,
      );
}

export function instanceProfileView(arn: string | undefined): IamInstanceProfile | undefined {
  // No request takes the id; what begins with AIPA is one of a profile's (IAM User Guide, "IAM identifiers").
  return arn === undefined
    ? undefined
    : { Arn: arn, Id: `AIPA${derivedId('r', arn).slice(2).toUpperCase()}` };
}
