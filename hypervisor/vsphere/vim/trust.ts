import { readFileSync } from 'node:fs';
import { getCACertificates, TLSSocket } from 'node:tls';
import { buildConnector } from 'undici';

/** By what the server's certificate is trusted: a file of CA certificates (PEM), the certificate's own thumbprint, or the system's CAs. */
export type Trust = { ca: string } | { thumbprint: string } | { system: true };

/** The server is not the one that is trusted; nothing was sent. */
export class VimTrustError extends Error {
  constructor(
    message: string,
    /** SHA-256 thumbprint of the certificate that was seen, where one was. */
    readonly seen?: string,
  ) {
    super(message);
    this.name = 'VimTrustError';
  }
}

/** Hex digits of a thumbprint; of SHA-256, or of SHA-1, which vSphere's clients and its own screens show. */
const LENGTHS = new Set([64, 40]);
const CONNECT_TIMEOUT_SECONDS = 10;

/** Connects for undici, to a server that is trusted only. @throws Error for settings that cannot work */
export function trustingConnector(trust: Trust): buildConnector.connector {
  // No session is taken up again: with one, the server need not show its certificate.
  const options = { timeout: CONNECT_TIMEOUT_SECONDS * 1000, maxCachedSessions: 0 };
  if ('ca' in trust) return buildConnector({ ...options, ca: readFileSync(trust.ca) });
  if ('system' in trust)
    return buildConnector({
      ...options,
      ca: [...getCACertificates('system'), ...getCACertificates('extra')],
    });
  const wanted = trust.thumbprint.replace(/[:\s]/g, '').toUpperCase();
  if (!LENGTHS.has(wanted.length) || /[^0-9A-F]/.test(wanted))
    throw new Error(
      `"${trust.thumbprint}" is no SHA-256 or SHA-1 thumbprint: 64 or 40 hex digits, with or without colons.`,
    );
  // Node's check is of chains and names; a thumbprint says which certificate it is, whoever signed it. It is checked
  // below, before anything is sent.
  const connect = buildConnector({ ...options, rejectUnauthorized: false });
  return (target, callback) =>
    connect(target, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      const mismatch = thumbprintMismatch(socket, wanted, target.hostname);
      if (mismatch === undefined) return callback(null, socket);
      socket.destroy();
      callback(mismatch, null);
    });
}

function thumbprintMismatch(socket: unknown, wanted: string, host: string): VimTrustError | undefined {
  if (!(socket instanceof TLSSocket)) return new VimTrustError(`${host} was reached without TLS.`);
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return new VimTrustError(`${host} showed no certificate.`);
  const seen = wanted.length === 64 ? certificate.fingerprint256 : certificate.fingerprint;
  if (seen.replaceAll(':', '').toUpperCase() === wanted) return undefined;
  return new VimTrustError(
    `${host} has a certificate with the thumbprint ${seen}, not the one that is set. Either it was renewed (compare it in vCenter ` +
      `and set the new thumbprint), or this is another server.`,
    certificate.fingerprint256,
  );
}
