import {
  awsProxySettings,
  backupProxySettings,
  SettingsError,
  webhookSecrets,
  workerSettings,
} from '../../workers/settings';

const WORKER = { AWS_REGION: 'eu-central-1', LIFEBOAT_REPOSITORY: 's3://backups/dr' };
const AWS_PROXY = {
  LIFEBOAT_PROXY_INSTANCE_ID: 'i-0a11fe00000000001',
  LIFEBOAT_PROXY_AVAILABILITY_ZONE: 'eu-central-1a',
};

function problemOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  throw new Error('The environment was accepted.');
}

describe('what a worker is told by its environment', () => {
  it('takes the defaults for what is not there', () => {
    expect(workerSettings('control', WORKER)).toMatchObject({
      region: 'eu-central-1',
      repository: { bucket: 'backups', prefix: 'dr/', region: 'eu-central-1' },
      stateDirectory: '/var/lib/lifeboat',
      dialRoutes: '',
      deployment: undefined,
      identity: expect.stringMatching(/^control@.+:\d+ \d+\.\d+\.\d+/) as string,
    });
    expect(awsProxySettings(AWS_PROXY)).toEqual({
      instanceId: 'i-0a11fe00000000001',
      availabilityZone: 'eu-central-1a',
      deviceDirectory: '/dev/disk/by-id',
      dnsServers: [],
      dnsResolvers: [],
    });
  });

  it.each([
    ['s3://backups', ''],
    ['s3://backups/', ''],
    ['s3://backups/dr', 'dr/'],
    ['s3://backups/dr/shop/', 'dr/shop/'],
  ])('reads the repository %s', (LIFEBOAT_REPOSITORY, prefix) => {
    const { repository } = workerSettings('control', { ...WORKER, LIFEBOAT_REPOSITORY });
    expect(repository).toMatchObject({ bucket: 'backups', prefix });
  });

  it('names every variable that is missing, in one error', () => {
    const problem = problemOf(() => workerSettings('control', {}));
    expect(problem).toContain('AWS_REGION');
    expect(problem).toContain('LIFEBOAT_REPOSITORY');
    expect(problemOf(() => awsProxySettings({}))).toMatch(
      /LIFEBOAT_PROXY_INSTANCE_ID.*LIFEBOAT_PROXY_AVAILABILITY_ZONE/,
    );
    expect(problemOf(() => backupProxySettings({}))).toContain('LIFEBOAT_HYPERVISOR');
  });

  it.each([
    ['AWS_REGION', ''],
    ['LIFEBOAT_REPOSITORY', 'backups/dr'],
    ['LIFEBOAT_REPOSITORY', 's3://'],
    ['LIFEBOAT_REPOSITORY', 's3://Backups'],
    ['LIFEBOAT_REPOSITORY', 's3://backups/a b'],
    ['LIFEBOAT_STATE_DIRECTORY', ''],
    ['LIFEBOAT_S3_ENDPOINT', 'not a URL'],
    ['LIFEBOAT_METRICS_ADDRESS', ''],
    ['LIFEBOAT_METRICS_ADDRESS', '9464'],
    ['LIFEBOAT_METRICS_ADDRESS', ':9464'],
    ['LIFEBOAT_METRICS_ADDRESS', '127.0.0.1'],
    ['LIFEBOAT_METRICS_ADDRESS', '127.0.0.1:0'],
    ['LIFEBOAT_METRICS_ADDRESS', '127.0.0.1:65536'],
    ['LIFEBOAT_METRICS_ADDRESS', '127.0.0.256:9464'],
    ['LIFEBOAT_METRICS_ADDRESS', '::1:9464'],
    ['LIFEBOAT_METRICS_ADDRESS', '[127.0.0.1]:9464'],
    ['LIFEBOAT_METRICS_ADDRESS', 'localhost:9464'],
    ['LIFEBOAT_METRICS_ADDRESS', 'http://127.0.0.1:9464/metrics'],
    ['LIFEBOAT_DEPLOYMENT', 'life.boat'],
  ])('refuses %s=%j, and says so', (name, value) => {
    expect(problemOf(() => workerSettings('control', { ...WORKER, [name]: value }))).toContain(name);
  });

  it.each(['127.0.0.1:9464', '0.0.0.0:1', '[::]:65535'])('takes %s to serve metrics at', (address) => {
    const settings = workerSettings('control', { ...WORKER, LIFEBOAT_METRICS_ADDRESS: address });
    expect(settings.metricsAddress).toBe(address);
    expect(workerSettings('control', WORKER).metricsAddress).toBeUndefined();
  });

  it('refuses an AWS proxy that is no EC2 instance', () => {
    const problem = problemOf(() =>
      awsProxySettings({ ...AWS_PROXY, LIFEBOAT_PROXY_INSTANCE_ID: 'proxy-1' }),
    );
    expect(problem).toMatch(/LIFEBOAT_PROXY_INSTANCE_ID must be the EC2 instance id/);
  });

  it("asks the name servers that it is told, instead of the zone's own", () => {
    const { dnsServers, dnsResolvers } = awsProxySettings({
      ...AWS_PROXY,
      LIFEBOAT_DNS_SERVERS: '127.0.0.1:53,127.0.0.2:53',
      LIFEBOAT_DNS_RESOLVERS: '169.254.169.253:53',
    });
    expect(dnsServers).toEqual(['127.0.0.1:53', '127.0.0.2:53']);
    expect(dnsResolvers).toEqual(['169.254.169.253:53']);
  });

  it('has the secrets of webhooks in a file where one is named', () => {
    const LIFEBOAT_WEBHOOK_SECRETS = '/etc/lifeboat/webhooks.yaml';
    expect(webhookSecrets({ LIFEBOAT_WEBHOOK_SECRETS }).file).toBe(LIFEBOAT_WEBHOOK_SECRETS);
    expect(webhookSecrets({}).file).toBeUndefined();
    expect(problemOf(() => webhookSecrets({ LIFEBOAT_WEBHOOK_SECRETS: '' }))).toContain(
      'LIFEBOAT_WEBHOOK_SECRETS',
    );
  });

  it('knows the local hypervisor and vSphere only', () => {
    expect(backupProxySettings({ LIFEBOAT_HYPERVISOR: 'local:/srv/vms' })).toEqual({
      hypervisor: { adapter: 'local', directory: '/srv/vms' },
    });
    for (const LIFEBOAT_HYPERVISOR of ['local:', 'vsphere:', 'hyperv:host.example'])
      expect(problemOf(() => backupProxySettings({ LIFEBOAT_HYPERVISOR }))).toContain('local:<directory>');
    const vsphere = { LIFEBOAT_HYPERVISOR: 'vsphere:https://vcenter.example/?datacenter=DC1' };
    expect(problemOf(() => backupProxySettings(vsphere))).toContain('LIFEBOAT_VSPHERE_PASSWORD');
    const credentials = { LIFEBOAT_VSPHERE_USER: 'a@b', LIFEBOAT_VSPHERE_PASSWORD: 'hidden' };
    expect(backupProxySettings({ ...vsphere, ...credentials }).hypervisor).toMatchObject({
      adapter: 'vsphere',
      settings: { url: 'https://vcenter.example/', datacenter: 'DC1', devices: '/dev/disk/by-id' },
    });
  });
});
