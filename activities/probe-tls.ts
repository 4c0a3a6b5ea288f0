import { constants } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  getCACertificates,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { printable } from '../plan/printable';
import { type Probe } from '../plan/probes';

/** What a probe over TLS wants of the server. */
type Wanted = Pick<NonNullable<Probe['https']>, 'host' | 'verify'>;

/** Of a certificate, what a person compares; it is the guest's, and may name thousands. */
const SHOWN_NAMES = 10;
const SHOWN_CHARACTERS = 100;

/**
 * The server's name in the handshake: the host without its port. A bare address is none (RFC 6066, section 3).
 * @returns undefined where there is none to send
 */
export function serverName(host: string | undefined): string | undefined {
  const name = nameOf(host);
  return name === undefined || isIP(name) !== 0 ? undefined : name;
}

const nameOf = (host: string | undefined): string | undefined => host?.replace(/:\d+$/, '').toLowerCase();

/**
 * TLS over a connection that is there.
 * @param authorities PEM certificates that are trusted, instead of those of Node and of this host
 * @throws Error that says what is wrong with the handshake, or with the certificate and which one it is
 */
export async function secured(
  socket: Socket,
  { host, verify }: Wanted,
  signal: AbortSignal,
  authorities?: string[],
): Promise<TLSSocket> {
  const secure = await shakenHands(socket, host, verify ? trusting(authorities) : permissive(), signal);
  const problem = verify ? certificateProblem(secure, nameOf(host) ?? '') : undefined;
  if (problem === undefined) return secure;
  secure.destroy();
  throw new Error(problem);
}

let trusted: SecureContext | undefined;

/** Made once: it is hundreds of certificates, and a plan's VMs are asked every other second. */
function trusting(authorities: string[] | undefined): SecureContext {
  if (authorities !== undefined) return createSecureContext({ ca: authorities });
  const present = () => [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  trusted ??= createSecureContext({ ca: present() });
  return trusted;
}

/** Nothing that is asked needs to be kept secret, so an old guest's TLS is as good as any to find out whether it serves. */
const permissive = (): SecureContext =>
  createSecureContext({
    minVersion: 'TLSv1',
    ciphers: 'DEFAULT@SECLEVEL=0',
    secureOptions: constants.SSL_OP_LEGACY_SERVER_CONNECT,
  });

function shakenHands(
  socket: Socket,
  host: string | undefined,
  secureContext: SecureContext,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const secure = connect({
      socket,
      secureContext,
      servername: serverName(host) ?? '',
      // Judged afterwards: an error of the handshake would not tell which certificate it was.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    const fail = (error: unknown): void => {
      secure.destroy();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const abandon = (): void => fail(signal.reason);
    signal.addEventListener('abort', abandon, { once: true });
    secure.on('error', (error) => fail(new Error(handshakeProblem(error), { cause: error })));
    socket.on('error', fail);
    const closed = (): void => fail(new Error('the connection was closed in the TLS handshake'));
    secure.once('close', closed);
    secure.once('secureConnect', () => {
      signal.removeEventListener('abort', abandon);
      secure.off('close', closed);
      resolve(secure);
    });
  });
}

function handshakeProblem(error: Error & { code?: string; reason?: string }): string {
  const what = printable(error.reason ?? error.message).slice(0, SHOWN_CHARACTERS);
  const code = error.code === undefined ? '' : ` (${error.code})`;
  // OpenSSL takes the first bytes of another protocol for a version, or for a length.
  const other = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(error.code ?? '');
  return `the TLS handshake failed: ${what}${code}${other ? '; what listens there may speak no TLS' : ''}`;
}

/** @returns undefined where the certificate is good for the name and of an authority that is trusted */
function certificateProblem(secure: TLSSocket, name: string): string | undefined {
  const certificate = secure.getPeerCertificate();
  // A code of OpenSSL's, whatever its type says; null where the authority is trusted.
  const untrusted = secure.authorizationError as unknown as string | null;
  if (untrusted === null && checkServerIdentity(name, certificate) === undefined) return undefined;
  const why =
    untrusted === null
      ? `it is not for ${name}`
      : `${UNTRUSTED[untrusted] ?? 'it cannot be verified'} (${untrusted})`;
  return `its certificate is not good: ${why}. ${describe(certificate)}`;
}

const NOT_TRUSTED =
  'its issuer is not trusted; add it to the trust store of the host of the proxy that asks, or set "verify: false"';
const UNTRUSTED: Record<string, string> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_TRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_TRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_TRUSTED,
};

/** Such as `It is for "www.shop.example" (www.shop.example, shop.example), issued by "Shop CA", valid from … to …`. */
function describe({ subject, issuer, subjectaltname, valid_from, valid_to }: PeerCertificate): string {
  const names = (subjectaltname ?? '').split(', ').map((name) => name.replace(/^(DNS|IP Address):/, ''));
  const shown = names.slice(0, SHOWN_NAMES).map(quotable).filter(Boolean).join(', ');
  const more = names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : '';
  return (
    `It is for "${commonName(subject)}"${shown === '' ? '' : ` (${shown}${more})`}, issued by "${commonName(issuer)}", ` +
    `valid from ${quotable(valid_from)} to ${quotable(valid_to)}`
  );
}

const quotable = (text: string | undefined): string => printable(text ?? '').slice(0, SHOWN_CHARACTERS);

/** A name of the certificate's; where it has several, the first. */
function commonName(of: PeerCertificate['subject'] | undefined): string {
  const { CN, O } = (of ?? {}) as { CN?: string | string[]; O?: string | string[] };
  const [first] = [CN ?? O ?? ''].flat();
  return quotable(first);
}
