import { type GetCallerIdentityResponse } from '@aws-sdk/client-sts';
import { ACCOUNT_ID } from '../account';

export function stsHandlers(accessKeyId: string) {
  return {
    GetCallerIdentity: (): GetCallerIdentityResponse => ({
      Account: ACCOUNT_ID,
      UserId: accessKeyId,
      Arn: `arn:aws:iam::${ACCOUNT_ID}:user/lifeboat`,
    }),
  };
}
