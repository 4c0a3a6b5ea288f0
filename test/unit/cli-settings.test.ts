import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loadSettings, shellSettings } from '../../cli/settings';

const SANDBOX = {
  aws: {
    endpoint: 'http://127.0.0.1:4566',
    region: 'eu-central-1',
    accessKeyId: 'key',
    secretAccessKey: 'secret',
  },
  temporal: { address: '127.0.0.1:7999', namespace: 'dr', ui: 'http://127.0.0.1:8999' },
  dns: { address: '127.0.0.1:5399' },
  datacenter: { directory: '/somewhere' },
  repository: 's3://lifeboat-shop',
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'lifeboat-settings-'));
  mkdirSync(path.join(directory, '.lifeboat'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const writeSandbox = (content: object | string) =>
  writeFileSync(
    path.join(directory, '.lifeboat', 'sandbox.json'),
    typeof content === 'string' ? content : JSON.stringify(content),
  );

describe('settings', () => {
  it('come from the environment where no sandbox is up', () => {
    const env = { LIFEBOAT_REPOSITORY: 's3://b/p', AWS_REGION: 'eu-west-1', LIFEBOAT_WEB_UI: 'http://ui' };
    expect(loadSettings(env, [directory])).toEqual({
      sandboxFile: undefined,
      webUi: 'http://ui',
      repository: 's3://b/p',
      region: 'eu-west-1',
    });
    expect(Object.keys(env)).toHaveLength(3);
  });

  it('come from the sandbox that is up, with its credentials and none of a real account', () => {
    writeSandbox(SANDBOX);
    const env: NodeJS.ProcessEnv = {
      PATH: '/bin',
      AWS_PROFILE: 'production',
      AWS_ACCESS_KEY_ID: 'AKIAREAL',
      AWS_SESSION_TOKEN: 'real',
      AWS_ENDPOINT_URL_S3: 'https://s3.example',
      TEMPORAL_API_KEY: 'real',
      TEMPORAL_TLS_CLIENT_CERT_PATH: '/cert',
    };
    expect(loadSettings(env, ['/nowhere', directory])).toEqual({
      sandboxFile: path.join(directory, '.lifeboat', 'sandbox.json'),
      webUi: 'http://127.0.0.1:8999',
      repository: 's3://lifeboat-shop',
      region: 'eu-central-1',
    });
    expect(env).toEqual({
      PATH: '/bin',
      AWS_ENDPOINT_URL: 'http://127.0.0.1:4566',
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
      TEMPORAL_ADDRESS: '127.0.0.1:7999',
      TEMPORAL_NAMESPACE: 'dr',
      LIFEBOAT_REPOSITORY: 's3://lifeboat-shop',
    });
  });

  describe("with the sandbox's roles", () => {
    const profile = { name: 'lifeboat', configFile: '/command/config', credentialsFile: '/command/keys' };
    const files = (role: string) => ({
      AWS_PROFILE: 'lifeboat',
      AWS_CONFIG_FILE: `/${role}/config`,
      AWS_SHARED_CREDENTIALS_FILE: `/${role}/keys`,
    });
    beforeEach(() => writeSandbox({ ...SANDBOX, aws: { ...SANDBOX.aws, profile } }));

    it('are those of the command, instead of any key', () => {
      const env = { AWS_PROFILE: 'production', AWS_ACCESS_KEY_ID: 'AKIAREAL', AWS_SECRET_ACCESS_KEY: 'real' };
      loadSettings(env, [directory]);
      expect(env).toMatchObject(files('command'));
      expect(Object.keys(env)).not.toContain('AWS_ACCESS_KEY_ID');
      expect(Object.keys(env)).not.toContain('AWS_SECRET_ACCESS_KEY');
    });

    it("are a worker's own where its environment names this endpoint and a profile", () => {
      const worker = { ...files('aws-proxy'), AWS_ENDPOINT_URL: SANDBOX.aws.endpoint };
      loadSettings(worker, [directory]);
      expect(worker).toMatchObject(files('aws-proxy'));
      const elsewhere = files('aws-proxy');
      loadSettings(elsewhere, [directory]);
      expect(elsewhere).toMatchObject(files('command'));
    });
  });

  it.each([
    ['TEMPORAL_ADDRESS', 'temporal.example:7233'],
    ['AWS_ENDPOINT_URL', 'https://aws.example'],
    ['LIFEBOAT_REPOSITORY', 's3://mine'],
  ])('leave the sandbox alone where %s names another site', (name, value) => {
    writeSandbox(SANDBOX);
    const env = { [name]: value };
    expect(loadSettings(env, [directory]).sandboxFile).toBeUndefined();
    expect(env).toEqual({ [name]: value });
  });

  it.each([['{'], [{ ...SANDBOX, aws: {} }]])('tell of a file that is no sandbox', (content) => {
    writeSandbox(content);
    expect(() => loadSettings({}, [directory])).toThrow(
      /sandbox\.json is not what "lifeboat sandbox up" writes/,
    );
  });

  it('are written for a shell, in which the command still finds the sandbox', () => {
    writeSandbox(SANDBOX);
    const awkward = { ...SANDBOX, aws: { ...SANDBOX.aws, secretAccessKey: "a'b $(id) `id`" } };
    const script = `${shellSettings(awkward)}env -0`;
    const outside = { PATH: process.env.PATH, AWS_PROFILE: 'production', AWS_SESSION_TOKEN: 'real' };
    const out = execFileSync('/bin/sh', ['-c', script], { env: outside, encoding: 'utf8' });
    const env = Object.fromEntries(
      out.split('\0').map((line) => [line.replace(/=.*/s, ''), line.replace(/^.*?=/s, '')]),
    );
    expect(env).toMatchObject({
      AWS_ENDPOINT_URL: 'http://127.0.0.1:4566',
      AWS_DEFAULT_REGION: 'eu-central-1',
      AWS_SECRET_ACCESS_KEY: "a'b $(id) `id`",
      SANDBOX_DNS_PORT: '5399',
    });
    expect(Object.keys(env)).not.toEqual(expect.arrayContaining(['AWS_PROFILE']));
    expect(Object.keys(env)).not.toEqual(expect.arrayContaining(['AWS_SESSION_TOKEN']));
    expect(loadSettings(env, [directory]).webUi).toBe('http://127.0.0.1:8999');
  });
});
