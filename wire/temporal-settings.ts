import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { type TLSConfig } from '@temporalio/client';
import {
  type ClientConfigProfile,
  type ClientConfigTLS,
  loadClientConfigProfile,
  loadConfigData,
  toClientOptions,
} from '@temporalio/envconfig';
import { messageOf } from '../host/message-of';
import { keepSecret } from '../host/secrets';
import { isLoopbackHost } from '../plan/loopback-host';
import { WireError } from './wire-error';

/** What connects to Temporal, and what its errors name. */
export interface TemporalSettings {
  /** Of a client's connection and of a worker's. */
  connectionOptions: { address: string; apiKey?: string; tls?: TLSConfig | boolean; metadata?: Metadata };
  namespace: string;
  /** Of a person's: what the parts of the settings are called, and where each is. */
  sources: TlsSources;
}

/** Where each part of TLS was read: `/etc/x/ca.pem (TEMPORAL_TLS_SERVER_CA_CERT_PATH)`; undefined where it is not set. */
export interface TlsSources {
  ca: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
}

type Metadata = Record<string, string>;
type Part = { path: string } | { data: string | Uint8Array };

/** What a part is called in the environment, and in a profile of Temporal's configuration file. */
const PARTS = {
  ca: { of: 'serverCACert', variable: 'TEMPORAL_TLS_SERVER_CA_CERT', field: 'server_ca_cert' },
  certificate: { of: 'clientCert', variable: 'TEMPORAL_TLS_CLIENT_CERT', field: 'client_cert' },
  key: { of: 'clientKey', variable: 'TEMPORAL_TLS_CLIENT_KEY', field: 'client_key' },
} as const;

/**
 * TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_… and the profile of Temporal's configuration file, as Temporal's own
 * tools read them. What the SDK would leave out in silence is refused: half a client certificate, a check that cannot be switched off.
 * @throws WireError
 */
export function temporalSettings({
  ignoreConfigurationFile = false,
  env = process.env,
}: { ignoreConfigurationFile?: boolean; env?: NodeJS.ProcessEnv } = {}): TemporalSettings {
  requireBooleans(env);
  let profile: ClientConfigProfile;
  try {
    profile = loadClientConfigProfile({
      disableFile: ignoreConfigurationFile,
      overrideEnvVars: definedOnly(env),
    });
  } catch (cause) {
    throw new WireError(
      `Temporal's settings cannot be read (TEMPORAL_…, or ${env.TEMPORAL_CONFIG_FILE ?? "Temporal's configuration file"}): ${messageOf(cause)}`,
      { cause },
    );
  }
  const { sources, tls: checked } = checkedTls(profile.tls, env);
  const { connectionOptions, namespace } = toClientOptions({ ...profile, tls: checked });
  const address = connectionOptions.address ?? 'localhost:7233';
  const inTheClear = connectionOptions.tls === false && !isLoopbackHost(hostAndPort(address).host);
  if (connectionOptions.apiKey !== undefined && inTheClear)
    throw new WireError(
      `The API key would go to ${address} in the clear: remove TEMPORAL_TLS=false (or the profile's tls.disabled).`,
    );
  const { apiKey, tls, metadata } = connectionOptions as TemporalSettings['connectionOptions'];
  // Those of a profile are in no variable.
  keepSecret(apiKey, ...Object.values(metadata ?? {}));
  return {
    connectionOptions: { address, apiKey, tls, metadata },
    ...{ namespace: namespace ?? 'default', sources },
  };
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** The SDK takes "yes" for false: TLS would be off. */
function requireBooleans(env: NodeJS.ProcessEnv): void {
  const tls = env.TEMPORAL_TLS;
  if (tls !== undefined && !['1', 'true', '0', 'false'].includes(tls))
    throw new WireError(`TEMPORAL_TLS is "${tls}": it must be true or false.`);
  if (!['0', 'false', undefined].includes(env.TEMPORAL_TLS_DISABLE_HOST_VERIFICATION))
    throw new WireError(
      'TEMPORAL_TLS_DISABLE_HOST_VERIFICATION is not heeded here, servers are always verified: unset it, and name the CA in TEMPORAL_TLS_SERVER_CA_CERT_PATH, and the name in the certificate in TEMPORAL_TLS_SERVER_NAME.',
    );
}

/**
 * Reads the parts of TLS, each once: what is checked is what connects.
 * @throws WireError where a file is not there, is not what it must be, or lacks its other half
 */
function checkedTls(
  tls: ClientConfigTLS | undefined,
  env: NodeJS.ProcessEnv,
): { sources: TlsSources; tls: ClientConfigTLS | undefined } {
  const sources: TlsSources = { ca: undefined, certificate: undefined, key: undefined };
  if (tls === undefined || tls.disabled === true) return { sources, tls };
  const checked = { ...tls };
  read('ca', (pem) => new X509Certificate(pem));
  const certificate = read('certificate', (pem) => new X509Certificate(pem));
  const key = read<KeyObject>('key', (pem) => createPrivateKey(pem));
  if ((certificate === undefined) !== (key === undefined)) {
    const [there, other] =
      certificate === undefined ? (['key', 'certificate'] as const) : (['certificate', 'key'] as const);
    throw new WireError(
      `${sources[there]} is only half of what a client certificate needs: set ${PARTS[other].variable}_PATH as well.`,
    );
  }
  if (certificate !== undefined && key !== undefined && !certificate.checkPrivateKey(key))
    throw new WireError(`${sources.key} is not the key of ${sources.certificate}.`);
  return { sources, tls: checked };

  function read<T>(name: keyof typeof PARTS, parse: (pem: Buffer) => T): T | undefined {
    const { of, variable, field } = PARTS[name];
    const part = checked[of] as Part | undefined;
    if (part === undefined) return undefined;
    const kind = 'path' in part ? 'path' : 'data';
    const inEnvironment = `${variable}_${kind.toUpperCase()}`;
    const called = env[inEnvironment] === undefined ? `tls.${field}_${kind} of the profile` : inEnvironment;
    const source = 'path' in part ? `${part.path} (${called})` : called;
    sources[name] = source;
    let pem: Buffer;
    try {
      pem = Buffer.from(loadConfigData(part) ?? []);
    } catch (cause) {
      throw new WireError(
        `${source} cannot be read: ${(cause as NodeJS.ErrnoException).code ?? messageOf(cause)}.`,
        {
          cause,
        },
      );
    }
    checked[of] = { data: pem };
    try {
      return parse(pem);
    } catch {
      // The parser's error may quote the key.
      throw new WireError(
        `${source} is no ${name === 'key' ? 'private key without a passphrase' : 'certificate'} in PEM.`,
      );
    }
  }
}

/** @returns host and port of `host:port`; brackets of IPv6 left out */
export function hostAndPort(address: string): { host: string; port: number } {
  const [, host = address, port = '7233'] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  return { host, port: Number(port) };
}
