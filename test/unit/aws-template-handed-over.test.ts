import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { planFileSchema } from '../../plan/schema';
import { awsProxySettings, workerSettings } from '../../workers/settings';
import { readTemplate, resolveTemplate } from '../support/cloudformation';
import { deployTool, itWithDeployTools } from '../support/deploy-tools';

/** What deploy/aws.yaml hands over: to the plan, to the workers' settings, and to the instance that becomes a proxy. */

const file = (...path: string[]): string => join(projectRoot(), 'deploy', ...path);
const template = readTemplate(readFileSync(file('aws.yaml'), 'utf8'));
const PACKAGE = 'the package';
const NODE = 'an archive of Node';
const sha256 = (text: string): string =>
  execFileSync('sha256sum', { input: text, encoding: 'utf8' }).slice(0, 64);

const { resources, outputs } = resolveTemplate(
  template,
  {
    VpcId: 'vpc-0123456789abcdef0',
    ProxySubnets: ['subnet-0123456789abcdef0'],
    ProductionSubnets: ['subnet-0123456789abcdef1', 'subnet-0123456789abcdef2'],
    TestSubnets: ['subnet-0123456789abcdef3'],
    Plans: ['shop'],
    SnapshotKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/0f0f',
    ArtifactBucket: 'artifacts',
    PackageSha256: sha256(PACKAGE),
    NodeSha256: sha256(NODE),
    TemporalAddress: 'temporal.example:7233',
    TemporalSecretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:temporal-AbCdEf',
    CodecKeysSecretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:codec-AbCdEf',
  },
  {
    'AWS::Region': 'eu-central-1',
    'AWS::AccountId': '111122223333',
    'AWS::StackName': 'lifeboat',
    Repository: 'lifeboat-repository-1abc',
    ProductionGroup: 'sg-0123456789abcdef0',
    TestGroup: 'sg-0123456789abcdef1',
    ProxyLog: '/lifeboat/lifeboat/aws-proxies',
  },
);
const userData = (resources.ProxyTemplate?.Properties.LaunchTemplateData as { UserData: string } | undefined)
  ?.UserData as string;

describe('outputs of deploy/aws.yaml', () => {
  it('are what a plan asks for', () => {
    const plan = planFileSchema.parse({
      name: 'shop',
      primarySite: { hypervisor: 'vsphere' },
      recoverySite: {
        region: outputs.AwsRegion,
        kmsKey: outputs.SnapshotKey,
        production: {
          subnets: outputs.ProductionSubnets?.split(','),
          securityGroups: [outputs.ProductionSecurityGroup],
        },
        test: { subnets: outputs.TestSubnets?.split(','), securityGroups: [outputs.TestSecurityGroup] },
      },
      repository: { bucket: outputs.RepositoryBucket, prefix: outputs.RepositoryPrefix },
      vms: [
        {
          name: 'web',
          primaryAddress: '192.168.10.1',
          instanceTypes: ['m6i.large'],
          readiness: { tcp: 80, timeout: 60 },
        },
      ],
    });
    expect(plan.recoverySite.production.subnets).toHaveLength(2);
  });

  it('say the same repository to plan and workers, and each says what it is for', () => {
    const { repository, region } = workerSettings('control', {
      AWS_REGION: outputs.AwsRegion,
      LIFEBOAT_REPOSITORY: outputs.LifeboatRepository,
    });
    expect({ ...repository, region }).toMatchObject({
      bucket: outputs.RepositoryBucket,
      prefix: outputs.RepositoryPrefix,
      region: 'eu-central-1',
    });
    for (const [name, { Description }] of Object.entries(template.Outputs))
      expect({ name, said: String(Description).length > 20 }).toEqual({ name, said: true });
  });
});

describe('what deploy/aws.yaml reads in the log', () => {
  const run = readFileSync(join(projectRoot(), 'workers/run.ts'), 'utf8');
  const reach = readFileSync(join(projectRoot(), 'workers/reach-temporal.ts'), 'utf8');

  it('is what a worker says', () => {
    const pattern = String(resources.TemporalUnreachable?.Properties.FilterPattern);
    const said = [...pattern.matchAll(/\?"([^"]+)"/g)].map(([, words = '']) => words);
    expect(said).toHaveLength(2);
    for (const words of said) expect(reach).toContain(`'${words}'`);
    // Its first line, by which the script knows that it runs.
    expect(userData).toContain("grep -q '^Lifeboat '");
    expect(run).toContain('`Lifeboat ${build}: ${identity}');
  });
});

describe('parameters of deploy/aws.yaml', () => {
  it('are all described, in a group, and bounded', () => {
    const { Metadata } = template as unknown as {
      Metadata: { 'AWS::CloudFormation::Interface': { ParameterGroups: { Parameters: string[] }[] } };
    };
    const grouped = Metadata['AWS::CloudFormation::Interface'].ParameterGroups.flatMap(
      ({ Parameters }) => Parameters,
    );
    expect([...grouped].sort()).toEqual(Object.keys(template.Parameters).sort());
    for (const [name, parameter] of Object.entries(template.Parameters)) {
      expect({ name, said: parameter.Description.length >= 15 }).toEqual({ name, said: true });
      const bounded =
        /^(AWS::|List<AWS::)/.test(parameter.Type) ||
        ['AllowedPattern', 'AllowedValues', 'MinValue'].some((key) => key in parameter);
      expect({ name, bounded }).toEqual({ name, bounded: true });
    }
  });
});

describe('the script that installs an AWS proxy', () => {
  itWithDeployTools('has nothing that shellcheck would say of it', () => {
    const script = file('cloudformation/install-aws-proxy.sh');
    expect(deployTool('shellcheck', ['--shell=bash', script])).toEqual({ code: 0, text: '' });
  });

  it('fits into user data, which takes 16 KiB', () => {
    expect(Buffer.byteLength(userData)).toBeLessThan(14 * 1024);
  });

  const canRun =
    process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true'], { stdio: 'ignore' }).status === 0;
  (canRun ? describe : describe.skip)('in a root of its own (needs root)', () => {
    let host: string;
    beforeEach(() => (host = newHost()));
    afterEach(() => rmSync(host, { recursive: true }));

    it('writes settings that the worker takes, starts the unit, and says that it is done', () => {
      expect(install(host)).toMatchObject({ status: 0 });
      const env = settingsOf(host);
      expect(awsProxySettings(env)).toMatchObject({
        instanceId: 'i-0123456789abcdef0',
        availabilityZone: 'eu-central-1a',
      });
      expect(workerSettings('aws-proxy', env).repository).toMatchObject({
        bucket: outputs.RepositoryBucket,
        prefix: outputs.RepositoryPrefix,
      });
      expect(env).toMatchObject({
        TEMPORAL_ADDRESS: 'temporal.example:7233',
        TEMPORAL_NAMESPACE: 'lifeboat',
      });
      expect(readFileSync(join(host, 'etc/credstore/temporal.toml'), 'utf8')).toBe('a secret\n');
      expect(env).toMatchObject({
        LIFEBOAT_CODEC_KEYS: '/run/credentials/lifeboat-aws-proxy.service/codec-keys.yaml',
        TEMPORAL_CONFIG_FILE: '/run/credentials/lifeboat-aws-proxy.service/temporal.toml',
      });
      const calls = readFileSync(join(host, 'calls'), 'utf8');
      expect(calls).toMatch(/npm install --global --prefix=\/usr\/local --ignore-scripts .*lifeboat\.tgz/);
      expect(calls).toMatch(/systemctl restart lifeboat-aws-proxy\.service\n/);
      expect(calls.trim().split('\n').at(-1)).toBe(
        'aws autoscaling complete-lifecycle-action --region eu-central-1 --auto-scaling-group-name lifeboat-aws-proxies ' +
          '--lifecycle-hook-name installed --instance-id i-0123456789abcdef0 --lifecycle-action-result CONTINUE',
      );
      expect(readFileSync(join(host, 'etc/systemd/system/lifeboat-aws-proxy.service'), 'utf8')).toBe(
        readFileSync(file('systemd/lifeboat-aws-proxy.service'), 'utf8'),
      );
    });

    it('fetches nothing again on an image of an installed proxy', () => {
      expect(install(host)).toMatchObject({ status: 0 });
      writeFileSync(join(host, 'calls'), '');
      expect(install(host)).toMatchObject({ status: 0 });
      const calls = readFileSync(join(host, 'calls'), 'utf8');
      expect(calls).not.toMatch(/apt-get|npm|aws s3/);
      expect(calls).toMatch(/complete-lifecycle-action/);
    });

    it('does not install another package than the one that was meant, and does not say that it is done', () => {
      writeFileSync(join(host, 'artifacts/lifeboat-0.1.0.tgz'), 'another package');
      expect(install(host)).toMatchObject({ status: 1 });
      const calls = readFileSync(join(host, 'calls'), 'utf8');
      expect(calls).not.toMatch(/npm install|complete-lifecycle-action/);
      expect(readFileSync(join(host, 'console'), 'utf8')).toMatch(/^lifeboat: line \d+ failed: .*sha256sum/m);
    });

    it('says why a worker does not start, and does not say that it is done', () => {
      writeFileSync(
        join(host, 'stubs/worker-says'),
        'lifeboat: The environment lacks what this worker needs.\n',
      );
      expect(install(host)).toMatchObject({ status: 1 });
      expect(readFileSync(join(host, 'console'), 'utf8')).toContain('The environment lacks');
      expect(readFileSync(join(host, 'calls'), 'utf8')).not.toMatch(/complete-lifecycle-action/);
    });
  });
});

/**
 * A root with this host's programs, and what stands for what an instance has: programs that write down what they are called with. What
 * they do is in the words of the script's own calls.
 */
function newHost(): string {
  const host = mkdtempSync(join(tmpdir(), 'lifeboat-install-'));
  for (const path of [
    'usr',
    'bin',
    'sbin',
    'lib',
    'lib64',
    'etc/apt/sources.list.d',
    'etc/apt/apt.conf.d',
    'etc/systemd/system',
    'etc/logrotate.d',
    'dev',
    'opt',
    'tmp',
    'root',
  ])
    mkdirSync(join(host, path), { recursive: true });
  for (const path of ['stubs', 'artifacts', 'local/bin', 'local/lib/node_modules/lifeboat', 'var/log'])
    mkdirSync(join(host, path), { recursive: true });
  mkdirSync(join(host, 'opt/aws/amazon-cloudwatch-agent/etc'), { recursive: true });
  writeFileSync(join(host, 'artifacts/lifeboat-0.1.0.tgz'), PACKAGE);
  writeFileSync(join(host, 'artifacts/node-v24-linux-x64.tar.xz'), NODE);
  writeFileSync(join(host, 'stubs/worker-says'), 'Lifeboat 0.1.0: aws-proxy@host\n');
  writeFileSync(join(host, 'calls'), '');
  writeFileSync(join(host, 'console'), '');
  const stub = (name: string, does = ''): void => {
    const path = join(host, 'stubs', name);
    writeFileSync(path, `#!/bin/bash\necho "${name} $*" >> /calls\n${does}\n`);
    chmodSync(path, 0o755);
  };
  for (const name of ['apt-get', 'tar', 'node']) stub(name);
  stub(
    'npm',
    'mkdir -p /usr/local/lib/node_modules/lifeboat/deploy && cp -r /units /usr/local/lib/node_modules/lifeboat/deploy/systemd',
  );
  stub(
    'aws',
    'case "$*" in\n *secretsmanager*) echo a secret ;;\n *s3://artifacts/*) cp "/artifacts/${4##*/}" "$5" ;;\nesac',
  );
  stub(
    'curl',
    'case "$*" in\n *instance-id) echo i-0123456789abcdef0 ;;\n *availability-zone) echo eu-central-1a ;;\nesac',
  );
  // As the unit's log file would have it.
  stub('systemctl', '[ "$1" != restart ] || cat /stubs/worker-says > /var/log/lifeboat/aws-proxy.log');
  stub('sleep');
  execFileSync('cp', ['-r', file('systemd'), join(host, 'units')]);
  const agent = join(host, 'opt/aws/amazon-cloudwatch-agent/bin');
  mkdirSync(agent);
  writeFileSync(join(agent, 'amazon-cloudwatch-agent-ctl'), '#!/bin/bash\n');
  chmodSync(join(agent, 'amazon-cloudwatch-agent-ctl'), 0o755);
  return host;
}

/** Runs the user data as an instance would, its root being the directory. */
function install(host: string): { status: number | null; stderr: string } {
  writeFileSync(join(host, 'user-data'), userData);
  const mounts = [
    ...['usr', 'bin', 'sbin', 'lib', 'lib64'].map((path) => `mount --rbind /${path} ${host}/${path}`),
    `mount --bind ${host}/local ${host}/usr/local`,
    `touch ${host}/dev/console ${host}/dev/null`,
    `mount --bind ${host}/console ${host}/dev/console`,
    `mount --bind /dev/null ${host}/dev/null`,
    `exec chroot ${host} env -i PATH=/stubs:/usr/sbin:/usr/bin:/sbin:/bin bash /user-data`,
  ];
  return spawnSync('unshare', ['--mount', 'bash', '-euc', mounts.join('\n')], { encoding: 'utf8' });
}

const settingsOf = (host: string): Record<string, string> =>
  Object.fromEntries(
    readFileSync(join(host, 'etc/lifeboat/aws-proxy.env'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
