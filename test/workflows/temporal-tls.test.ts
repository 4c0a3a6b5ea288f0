import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../../client/connect';
import { CannotConnectError } from '../../client/errors';
import { projectRoot } from '../../host/project-root';
import { temporalSettings } from '../../wire/temporal-settings';
import { type CertificateFiles, Certificates } from '../support/certificates';
import { KeyFile, newKey } from '../support/codec-keys';
import { type ControlProcess, startControl } from '../support/control-versions';
import { hasHaproxy, startTlsFront, type TlsFront } from '../support/tls-front';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const API_KEY = 'key-of-the-test';
const describeWithHaproxy = hasHaproxy() ? describeWithTemporal : describe.skip;

describeWithHaproxy('Temporal behind TLS', () => {
  const server = temporalForTests();
  let files: Certificates;
  let client: CertificateFiles;
  let expired: CertificateFiles;
  let foreign: CertificateFiles;
  let front: TlsFront;
  const before = { ...process.env };

  beforeAll(async () => {
    files = new Certificates();
    const names = 'DNS:temporal.example,IP:127.0.0.1';
    const { both } = files.issue('server', { by: 'our-ca', names });
    client = files.issue('worker', { by: 'our-ca' });
    expired = files.issue('last-year', { by: 'our-ca', days: -1 });
    foreign = files.issue('stranger', { by: 'other-ca' });
    front = await startTlsFront(
      server().address,
      {
        tls: { certificate: both },
        named: { certificate: files.issue('named', { by: 'our-ca', names: 'DNS:temporal.example' }).both },
        mutual: { certificate: both, clients: files.authority('our-ca') },
        key: { certificate: both, apiKey: API_KEY },
        all: { certificate: both, clients: files.authority('our-ca'), apiKey: API_KEY },
        late: { certificate: files.issue('late', { by: 'our-ca', names, days: -1 }).both },
      },
      files.directory,
    );
  }, 60_000);
  afterEach(() => {
    process.env = { ...before };
  });
  afterAll(async () => {
    await front?.end();
    files?.remove();
  });

  /** Settings, with files by what they are. */
  const settings = (way: string, more: Record<string, string> = {}): Record<string, string> => ({
    TEMPORAL_ADDRESS: front.addresses[way] ?? '',
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: files.authority('our-ca'),
    ...more,
  });
  const certificate = ({ cert, key }: CertificateFiles): Record<string, string> => ({
    TEMPORAL_TLS_CLIENT_CERT_PATH: cert,
    TEMPORAL_TLS_CLIENT_KEY_PATH: key,
  });

  async function asks(env: Record<string, string>, connectSeconds = 10): Promise<string> {
    Object.assign(process.env, env);
    const temporal = await connect({ ignoreConfigurationFile: true, connectSeconds });
    try {
      const { namespaceInfo } = await temporal.workflowService.describeNamespace({ namespace: 'default' });
      return namespaceInfo?.name ?? '';
    } finally {
      await temporal.connection.close();
    }
  }

  it.each<[string, () => Record<string, string>]>([
    ['TLS', () => settings('tls')],
    [
      'TLS, by the name in the certificate',
      () => settings('named', { TEMPORAL_TLS_SERVER_NAME: 'temporal.example' }),
    ],
    ['mutual TLS', () => settings('mutual', certificate(client))],
    ['an API key', () => settings('key', { TEMPORAL_API_KEY: API_KEY })],
    [
      'a client certificate and an API key',
      () => settings('all', { ...certificate(client), TEMPORAL_API_KEY: API_KEY }),
    ],
  ])('is reached by %s', async (_what, env) => {
    expect(await asks(env())).toBe('default');
  });

  it.each<[string, () => Record<string, string>, RegExp]>([
    [
      'another CA',
      () => settings('tls', { TEMPORAL_TLS_SERVER_CA_CERT_PATH: files.authority('other-ca') }),
      /is not signed by the CA in \S+other-ca\.pem \(TEMPORAL_TLS_SERVER_CA_CERT_PATH\)/,
    ],
    [
      'a CA of its own that nobody named',
      () => ({ TEMPORAL_ADDRESS: front.addresses.tls ?? '', TEMPORAL_TLS: 'true' }),
      /No CA that this host knows has signed .*: set TEMPORAL_TLS_SERVER_CA_CERT_PATH/,
    ],
    [
      'another name',
      () => settings('named'),
      /is not for 127\.0\.0\.1, but for DNS:temporal\.example: set TEMPORAL_TLS_SERVER_NAME/,
    ],
    [
      'a certificate that has expired',
      () => settings('late'),
      /has expired \(.* GMT\): the server needs a new one/,
    ],
    [
      'no client certificate',
      () => settings('mutual'),
      /wants a client certificate \(\S+\): set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH/,
    ],
    [
      'a client certificate that has expired',
      () => settings('mutual', certificate(expired)),
      /refuses the client certificate in \S+last-year\.pem \(TEMPORAL_TLS_CLIENT_CERT_PATH\) .*: it expired on .*, renew it/,
    ],
    [
      "a stranger's client certificate",
      () => settings('mutual', certificate(foreign)),
      /refuses the client certificate in \S+stranger\.pem .*may not know its CA \(CN=other-ca\)/,
    ],
    [
      'another API key',
      () => settings('key', { TEMPORAL_API_KEY: 'wrong' }),
      /does not let us in \(Request unauthorized\.\): look at TEMPORAL_API_KEY/,
    ],
    [
      'no API key',
      () => settings('key'),
      /does not let us in \(Request unauthorized\.\): set TEMPORAL_API_KEY/,
    ],
    ['no TLS', () => ({ TEMPORAL_ADDRESS: front.addresses.tls ?? '' }), /speaks TLS: set TEMPORAL_TLS=true/],
    [
      'TLS where there is none',
      () => settings('tls', { TEMPORAL_ADDRESS: server().address }),
      /does not speak TLS: unset TEMPORAL_TLS/,
    ],
  ])('is not reached with %s, and what to look at is told in a sentence', async (_what, env, sentence) => {
    // gRPC tries as long as it may where a handshake fails; an answer of the server's has its time.
    const patience = 'TEMPORAL_API_KEY' in env() || sentence.source.includes('let us in') ? 10 : 0.5;
    const failed = await asks(env(), patience).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CannotConnectError);
    expect((failed as Error).message).toMatch(sentence);
    expect((failed as Error).message).not.toMatch(/\n|PRIVATE|key-of-the-test/);
  });

  it('is not asked with settings that the SDK would leave out or misread', () => {
    const problem = (env: Record<string, string>): string => {
      try {
        temporalSettings({ ignoreConfigurationFile: true, env });
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    const broken = join(files.directory, 'broken.pem');
    writeFileSync(broken, '-----BEGIN PRIVATE KEY-----\nsecret\n');
    expect(problem(settings('tls'))).toBe('');
    expect(problem({ TEMPORAL_TLS_CLIENT_CERT_PATH: client.cert })).toMatch(
      /set TEMPORAL_TLS_CLIENT_KEY_PATH as well/,
    );
    expect(problem({ TEMPORAL_TLS_CLIENT_KEY_PATH: client.key })).toMatch(
      /set TEMPORAL_TLS_CLIENT_CERT_PATH as well/,
    );
    expect(problem({ ...certificate(client), TEMPORAL_TLS_CLIENT_KEY_PATH: foreign.key })).toMatch(
      /stranger-key\.pem \(TEMPORAL_TLS_CLIENT_KEY_PATH\) is not the key of \S+worker\.pem/,
    );
    expect(problem({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/nowhere/ca.pem' })).toMatch(
      /^\/nowhere\/ca\.pem \(TEMPORAL_TLS_SERVER_CA_CERT_PATH\) cannot be read: ENOENT\.$/,
    );
    const half = problem({ ...certificate(client), TEMPORAL_TLS_CLIENT_KEY_PATH: broken });
    expect(half).toMatch(/is no private key without a passphrase in PEM\.$/);
    expect(half).not.toContain('secret\n');
    expect(problem({ TEMPORAL_TLS: 'yes' })).toMatch(/must be true or false/);
    expect(problem({ TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: 'true' })).toMatch(
      /servers are always verified/,
    );
    const inTheClear = {
      TEMPORAL_ADDRESS: 'temporal.example:7233',
      TEMPORAL_API_KEY: 'k',
      TEMPORAL_TLS: 'false',
    };
    expect(problem(inTheClear)).toMatch(/would go to temporal\.example:7233 in the clear/);
  });

  it('is where a worker process works, which says what is wrong until it is put right', async () => {
    const keys = new KeyFile().write('k1', { k1: newKey() });
    const env = {
      ...before,
      ...settings('all', { ...certificate(client), TEMPORAL_API_KEY: API_KEY }),
      ...keys.env,
      ...{
        AWS_REGION: 'eu-central-1',
        LIFEBOAT_REPOSITORY: 's3://backups/dr',
        TEMPORAL_NAMESPACE: 'default',
      },
    };
    let worker: ControlProcess | undefined;
    const dist = join(projectRoot(), 'dist');
    try {
      const broken = startControl(dist, { ...env, LIFEBOAT_CODEC_KEYS: '/nowhere/keys.yaml' });
      const wrong = startControl(dist, { ...env, TEMPORAL_API_KEY: 'wrong' });
      worker = startControl(dist, env);
      await broken.says(
        /^lifeboat: \/nowhere\/keys\.yaml \(LIFEBOAT_CODEC_KEYS\) cannot be read \(ENOENT\)/m,
      );
      await wrong.says(/^Temporal is not reachable, trying again: .* look at TEMPORAL_API_KEY/m);
      await Promise.all([broken.kill(), wrong.kill()]);
      await worker.says(/Worker state changed.*RUNNING|state: 'RUNNING'/);
    } finally {
      await worker?.kill();
      keys.remove();
    }
  }, 90_000);
});
