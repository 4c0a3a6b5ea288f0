import { type GetEbsEncryptionByDefaultResult } from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID } from '../account';

/** Whether what EBS makes is encrypted, and by which key. */
interface Encryption {
  encrypted: boolean;
  kmsKeyId?: string;
}

const encryptsByDefault = ({ config }: Account): boolean => config.fixtures.encryptionByDefault ?? false;

/** The key that AWS manages for EBS in the account (alias/aws/ebs). */
export const managedKey = ({ config }: Account): string =>
  `arn:aws:kms:${config.region}:${ACCOUNT_ID}:key/0a11feb0-0000-4000-8000-000000000001`;

/** What becomes of something that was asked for with this encryption. "Encryption by default", Amazon EBS User Guide. */
export function encryptionOf(account: Account, asked: Encryption): Encryption {
  if (asked.encrypted || !encryptsByDefault(account)) return asked;
  return { encrypted: true, kmsKeyId: managedKey(account) };
}

/** Whether a plain snapshot can have no child. "Encryption outcomes for EBS direct APIs", Amazon EBS User Guide. */
export const refusesPlainParents = encryptsByDefault;

export function encryptionHandlers(account: Account) {
  return {
    GetEbsEncryptionByDefault: (): GetEbsEncryptionByDefaultResult => ({
      EbsEncryptionByDefault: encryptsByDefault(account),
    }),
  };
}
