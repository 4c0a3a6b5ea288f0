import { type Account } from '../../account';
import { managedKey } from '../../ec2/encryption';
import { type Asked } from './mapping';

/**
 * What EBS asks of a key of the customer's in the name of who calls ("Requirements for Amazon EBS encryption" and "Control access to EBS
 * direct APIs", Amazon EBS User Guide, list them together). Which call asks for which is not told: here, each that makes something
 * encrypted asks for all.
 */
const TO_ENCRYPT = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:GenerateDataKeyWithoutPlaintext',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

const viaService = ({ config }: Account): Asked['context'] => ({
  'kms:ViaService': `ec2.${config.region}.amazonaws.com`,
});

/** To make something that is encrypted by a key. The one that AWS manages is for everybody in the account. */
export function encryptingBy(account: Account, key: string | undefined): Asked[] {
  if (key === undefined || key === managedKey(account)) return [];
  const asked = TO_ENCRYPT.map((action) => ({ action, resource: key, context: viaService(account) }));
  return [...asked, grantingOn(account, key)];
}

/** To have an instance read a volume that is encrypted by a key. */
export const attachingBy = (account: Account, key: string | undefined): Asked[] =>
  key === undefined || key === managedKey(account)
    ? []
    : [grantingOn(account, key), decrypting(account, key)];

/** To read blocks that are encrypted by a key. */
export const decryptingBy = (account: Account, key: string | undefined): Asked[] =>
  key === undefined || key === managedKey(account) ? [] : [decrypting(account, key)];

const decrypting = (account: Account, key: string): Asked => ({
  action: 'kms:Decrypt',
  resource: key,
  context: viaService(account),
});

const grantingOn = (account: Account, key: string): Asked => ({
  action: 'kms:CreateGrant',
  resource: key,
  context: { ...viaService(account), 'kms:GrantIsForAWSResource': 'true' },
});
