import { createHmac, timingSafeEqual } from 'node:crypto';

/** Tokens that name something and end at a time, and that only this endpoint can make. */
export interface TokenSigner {
  /** `expires` in milliseconds since 1970. */
  sign(name: string, expires: number): string;
  /** The name, or undefined where the token is not ours or has expired. */
  open(token: string): string | undefined;
}

/** Signs with a key that outlives restarts: the secret of the account. */
export function tokenSigner(secret: string): TokenSigner {
  const mac = (text: string): Buffer =>
    createHmac('sha256', `tokens of ${secret}`).update(text).digest().subarray(0, 12);
  return {
    sign(name, expires) {
      const text = `${expires}/${name}`;
      return Buffer.concat([mac(text), Buffer.from(text)]).toString('base64');
    },
    open(token) {
      const bytes = Buffer.from(token, 'base64');
      const text = bytes.subarray(12).toString();
      if (bytes.length <= 12 || !timingSafeEqual(bytes.subarray(0, 12), mac(text))) return undefined;
      const slash = text.indexOf('/');
      return Number(text.slice(0, slash)) < Date.now() ? undefined : text.slice(slash + 1);
    },
  };
}
