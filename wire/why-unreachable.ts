import { X509Certificate } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import { isGrpcServiceError, ServiceError } from '@temporalio/client';
import { messageOf } from '../host/message-of';
import { withoutSecrets } from '../host/secrets';
import { hostAndPort, type TemporalSettings } from './temporal-settings';

/** Milliseconds that a person waits for the reason, at most. */
const PATIENCE_MS = 3000;

/** gRPC: PERMISSION_DENIED, the server knows us and does not let us; UNAUTHENTICATED, it does not know us. */
const DENIED: number = 7;
const REFUSED_CODES = new Set([DENIED, 16]);

type Tls = TemporalSettings['connectionOptions']['tls'];

/** gRPC: UNAVAILABLE, and time running out. */
const AWAY_CODES = new Set([14, 4]);

/** What a TLS handshake with a server has shown. */
interface Handshake {
  /** Of node's or OpenSSL's error; undefined where it went well. */
  code: string | undefined;
  /** Whether the server's half was done, so that what came after it is its word on ours. */
  shaken: boolean;
  certificate: Partial<PeerCertificate>;
}

/**
 * Why a connection to Temporal was not made, as one sentence that names the setting to look at. The SDKs tell no more than that time ran out, so the
 * server is asked once more, without them.
 * @param error what the SDK threw
 */
export async function whyUnreachable(settings: TemporalSettings, error: unknown): Promise<string> {
  const { address, tls, apiKey } = settings.connectionOptions;
  const cause = error instanceof ServiceError ? error.cause : error;
  if (
    isGrpcServiceError(cause) &&
    cause.code === DENIED &&
    apiKey === undefined &&
    settings.sources.certificate
  )
    return `Temporal at ${address} does not let us do that: ${cause.details}. Who may what is settled before it (docs/security.md).`;
  if (isGrpcServiceError(cause) && REFUSED_CODES.has(cause.code))
    return apiKey === undefined
      ? `Temporal at ${address} does not let us in (${cause.details}): set TEMPORAL_API_KEY, or the client certificate that it wants.`
      : `Temporal at ${address} does not let us in (${cause.details}): look at TEMPORAL_API_KEY, and at what that key may do in the namespace ${settings.namespace}.`;
  if (isGrpcServiceError(cause) && !AWAY_CODES.has(cause.code))
    return `Temporal at ${address} refused what it was asked first: ${cause.details}.`;
  const silent = `Temporal does not answer at ${address}; start it, or set TEMPORAL_ADDRESS to where it is.`;
  if (!(await answersByTcp(address))) return silent;
  const notReady = `What answers at ${address} is no Temporal that is ready: ${withoutSecrets(messageOf(cause))}.`;
  if (tls === undefined || tls === false)
    return (await speaksTls(address))
      ? `What answers at ${address} speaks TLS: set TEMPORAL_TLS=true, and TEMPORAL_TLS_SERVER_CA_CERT_PATH where its CA is your own.`
      : notReady;
  return tlsReason(settings, await handshake(settings)) ?? notReady;
}

function tlsReason({ connectionOptions, sources }: TemporalSettings, seen: Handshake): string | undefined {
  const { address, tls } = connectionOptions;
  const { code, shaken, certificate } = seen;
  const name = (typeof tls === 'object' && tls?.serverNameOverride) || hostAndPort(address).host;
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `The certificate of Temporal at ${address} is not for ${name}, but for ${certificate.subjectaltname ?? 'no name'}: set TEMPORAL_TLS_SERVER_NAME to a name that it is for.`;
    case 'CERT_HAS_EXPIRED':
      return `The certificate of Temporal at ${address} has expired (${certificate.valid_to}): the server needs a new one; nothing is wrong with our settings.`;
    case 'CERT_NOT_YET_VALID':
      return `The certificate of Temporal at ${address} is valid from ${certificate.valid_from} only: look at the clock of this host.`;
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'CERT_SIGNATURE_FAILURE':
      return sources.ca === undefined
        ? `No CA that this host knows has signed the certificate of Temporal at ${address}: set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the file of the CA that has.`
        : `The certificate of Temporal at ${address} is not signed by the CA in ${sources.ca}: put the CA there that has signed it.`;
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return `What answers at ${address} does not speak TLS: unset TEMPORAL_TLS, TEMPORAL_TLS_… and TEMPORAL_API_KEY, or set TEMPORAL_ADDRESS to the port that does.`;
    case undefined:
      return undefined;
  }
  // What a server does not like of ours it says after its half of the handshake, by an alert or by hanging up.
  if (!shaken && !code.includes('ALERT')) return undefined;
  if (sources.certificate === undefined)
    return `Temporal at ${address} wants a client certificate (${code}): set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH.`;
  return `Temporal at ${address} refuses the client certificate in ${sources.certificate} (${code}): ${whatIsWrong(tls)}.`;
}

/** What can be seen of our own certificate. */
function whatIsWrong(tls: Tls): string {
  const pem = typeof tls === 'object' ? tls?.clientCertPair?.crt : undefined;
  if (pem === undefined) return 'it may be of a CA that the server does not know';
  const { validTo, validFrom, issuer } = new X509Certificate(pem);
  if (new Date(validTo) < new Date()) return `it expired on ${validTo}, renew it`;
  if (new Date(validFrom) > new Date())
    return `it is valid from ${validFrom} only, look at the clock of this host`;
  return `the server may not know its CA (${issuer.replaceAll('\n', ', ')})`;
}

/** TLS as the SDK would do it, but going on where the server's certificate is not to be trusted: nothing is sent. */
async function handshake({ connectionOptions }: TemporalSettings): Promise<Handshake> {
  const { address, tls } = connectionOptions;
  const { host, port } = hostAndPort(address);
  const { serverNameOverride, serverRootCACertificate, clientCertPair } =
    typeof tls === 'object' && tls ? tls : {};
  const name = serverNameOverride ?? host;
  const buffer = (part: Uint8Array | undefined | null) => (part == null ? undefined : Buffer.from(part));
  const socket = connectTls({
    ...{ host, port, ALPNProtocols: ['h2'], rejectUnauthorized: false },
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ca: buffer(serverRootCACertificate),
    cert: buffer(clientCertPair?.crt),
    key: buffer(clientCertPair?.key),
  });
  const seen: Handshake = { code: undefined, shaken: false, certificate: {} };
  return new Promise((resolve) => {
    const end = (code: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ ...seen, code: code ?? seen.code });
    };
    const timer = setTimeout(() => end(undefined), PATIENCE_MS);
    socket.once('secureConnect', () => {
      seen.shaken = true;
      seen.certificate = socket.getPeerCertificate();
      const refused = distrust(socket);
      if (refused !== undefined) end(refused);
      // A server that takes us begins with its settings of HTTP/2.
      else socket.once('data', () => end(undefined));
    });
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'an error'));
    socket.once('close', () => end('it hung up'));
  });
}

/** Node has it as the code's text, though it is typed as an error. */
function distrust(socket: TLSSocket): string | undefined {
  const error: unknown = socket.authorizationError;
  if (error == null) return undefined;
  return error instanceof Error
    ? ((error as NodeJS.ErrnoException).code ?? error.message)
    : String(error as string);
}

function answersByTcp(address: string): Promise<boolean> {
  return attempt(connectTcp(hostAndPort(address)), 'connect');
}

function speaksTls(address: string): Promise<boolean> {
  return attempt(connectTls({ ...hostAndPort(address), rejectUnauthorized: false }), 'secureConnect');
}

/** Whether a socket comes so far. */
function attempt(socket: Socket, event: 'connect' | 'secureConnect'): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (came: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(came);
    };
    const timer = setTimeout(() => end(false), PATIENCE_MS);
    socket.once(event, () => end(true));
    socket.once('error', () => end(false));
  });
}
