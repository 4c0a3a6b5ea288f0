import { AwsError } from '../../wire/errors';

const MAX_BYTES = 16 * 1024;

/** @throws AwsError where it is no base64, or longer than user data may be */
export function checkUserData(base64: string | undefined): string | undefined {
  if (base64 === undefined) return undefined;
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(base64))
    throw new AwsError('InvalidUserData.Malformed', 'Invalid BASE64 encoding of user data.');
  if (Buffer.from(base64, 'base64').length > MAX_BYTES)
    throw new AwsError('InvalidParameterValue', `User data is limited to ${MAX_BYTES} bytes`);
  return base64;
}
