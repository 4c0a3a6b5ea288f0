import { createHash, randomBytes } from 'node:crypto';

type ResourcePrefix = 'i' | 'vol' | 'snap' | 'ami' | 'eni' | 'eni-attach' | 'r' | 'replacevol';

/** A new id of EC2's long form: prefix and 17 hex digits. */
export function newId(prefix: ResourcePrefix): string {
  return `${prefix}-${randomBytes(9).toString('hex').slice(0, 17)}`;
}

/** An id that always comes out of another one, such as an instance's network interface. */
export function derivedId(prefix: ResourcePrefix, from: string): string {
  return `${prefix}-${createHash('sha256').update(`${prefix} of ${from}`).digest('hex').slice(0, 17)}`;
}

/** A locally administered MAC address that always comes out of an instance's id. */
export function derivedMac(instanceId: string): string {
  const bytes = createHash('sha256').update(`mac of ${instanceId}`).digest();
  return ['02', ...[...bytes.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
