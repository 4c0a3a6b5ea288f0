import {
  type DecryptRequest,
  type DecryptResponse,
  type DescribeKeyRequest,
  type DescribeKeyResponse,
  type GenerateDataKeyRequest,
  type GenerateDataKeyResponse,
  type KeyState,
} from '@aws-sdk/client-kms';
import { randomBytes } from 'node:crypto';
import { type Account, ACCOUNT_ID } from '../account';
import { managedKey } from '../ec2/encryption';
import { AwsError } from '../wire/errors';
import { seal, unseal } from './sealed-keys';

/** Bytes of the data keys that can be asked for here. */
const DATA_KEYS: Record<string, number> = { AES_256: 32, AES_128: 16 };

/** The account's keys. They make and open data keys; what EBS does with them, nothing here does. */
export function kmsHandlers(account: Account) {
  const { secretAccessKey: secret } = account.config;
  const managed = managedKey(account);

  function keyOf(id: string): { arn: string; state: KeyState } {
    const keys = { [managed]: 'Enabled' as const, ...account.config.fixtures.kmsKeys };
    const arn = Object.keys(keys).find((key) => key === id || key.endsWith(`:key/${id}`));
    const state = arn === undefined ? undefined : keys[arn];
    if (arn === undefined || state === undefined)
      throw new AwsError('NotFoundException', `Key '${id}' does not exist`);
    return { arn, state };
  }

  /** "Key states of AWS KMS keys", AWS KMS Developer Guide. */
  function usable(id: string): string {
    const { arn, state } = keyOf(id);
    if (state === 'Disabled') throw new AwsError('DisabledException', `${arn} is disabled.`);
    if (state !== 'Enabled') throw new AwsError('KMSInvalidStateException', `${arn} is pending deletion.`);
    return arn;
  }

  return {
    DescribeKey({ KeyId = '' }: DescribeKeyRequest): DescribeKeyResponse {
      const { arn, state } = keyOf(KeyId);
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

    GenerateDataKey({
      KeyId = '',
      KeySpec,
      NumberOfBytes,
      EncryptionContext,
    }: GenerateDataKeyRequest): GenerateDataKeyResponse {
      const length = NumberOfBytes ?? DATA_KEYS[KeySpec ?? ''];
      if (length === undefined || (NumberOfBytes !== undefined && KeySpec !== undefined))
        throw new AwsError('ValidationException', 'Please specify either number of bytes or key spec.');
      const arn = usable(KeyId);
      const plain = randomBytes(length);
      return { KeyId: arn, Plaintext: plain, CiphertextBlob: seal(secret, arn, plain, EncryptionContext) };
    },

    Decrypt({ KeyId, CiphertextBlob, EncryptionContext }: DecryptRequest): DecryptResponse {
      const opened = unseal(secret, CiphertextBlob ?? new Uint8Array(), EncryptionContext);
      if (opened === undefined) throw new AwsError('InvalidCiphertextException', '');
      if (KeyId !== undefined && keyOf(KeyId).arn !== opened.arn)
        throw new AwsError(
          'IncorrectKeyException',
          'The key ID in the request does not identify a CMK that can perform this operation.',
        );
      return {
        KeyId: usable(opened.arn),
        Plaintext: opened.plain,
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      };
    },
  };
}
