import { type IncomingHttpHeaders } from 'node:http';

/** Who says to have signed a request, and for which service: the credential of Signature Version 4. Nothing of it is verified. */
export interface Credential {
  accessKeyId: string;
  signingName: string;
  region: string;
}

const CREDENTIAL = /^([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request$/;

/** The credential of the Authorization header, or of a presigned URL's query. */
export function requestCredential(
  headers: IncomingHttpHeaders,
  query: URLSearchParams,
): Credential | undefined {
  const text =
    /^AWS4-HMAC-SHA256\s.*?Credential=([^,\s]+)/.exec(headers.authorization ?? '')?.[1] ??
    query.get('X-Amz-Credential');
  const match = CREDENTIAL.exec(text ?? '');
  if (match === null) return undefined;
  const [, accessKeyId = '', , region = '', signingName = ''] = match;
  return { accessKeyId, region, signingName };
}
