import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { WORKER_FLAGS } from '../../workers/node-flags';
import {
  awsProxySettings,
  backupProxySettings,
  webhookSecrets,
  workerSettings,
} from '../../workers/settings';

/** The units of deploy/systemd, by systemd's own reader and its own judge. */

const folder = join(projectRoot(), 'deploy/systemd');
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const analyze = (args: string[]): { status: number | null; text: string } => {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status, text: stdout + stderr };
};
/** Of systemd 250, which judges files that are not loaded. */
const itBySystemd = analyze(['security', '--offline=yes', '--version']).status === 0 ? it : it.skip;

const ROLES = ['control', 'backup-proxy', 'aws-proxy'] as const;
const unitOf = (role: string): string => `lifeboat-${role}.service`;

/**
 * The most exposure that `systemd-analyze security` may find, of 10: 1 is what a service without rights comes to that is on the network. The
 * proxies are root's, with the right to mount.
 */
const MOST_EXPOSURE = { control: 1.5, 'backup-proxy': 3.6, 'aws-proxy': 3.6 };

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'lifeboat-units-'))));
afterEach(() => rmSync(directory, { recursive: true }));

/** The unit where systemd may read it, with a program that this host has. */
function placed(role: string, change = (text: string): string => text): string {
  const path = join(directory, unitOf(role));
  writeFileSync(path, change(read(unitOf(role)).replace('/usr/local/bin/lifeboat', '/usr/bin/env')));
  return path;
}

describe.each(ROLES)('the unit of %s', (role) => {
  const text = read(unitOf(role));
  const values = (key: string): string[] =>
    [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);

  itBySystemd('is understood by systemd, which tells where one is not', () => {
    expect(analyze(['verify', placed(role)])).toEqual({ status: 0, text: '' });
    const wrong = placed(role, (right) => right.replace('RestartSec=', 'RestartSecs='));
    expect(analyze(['verify', wrong]).text).toContain("Unknown key 'RestartSecs'");
  });

  itBySystemd('leaves no more open than its role needs', () => {
    const threshold = `--threshold=${MOST_EXPOSURE[role] * 10}`;
    const judge = (path: string) => analyze(['security', '--offline=yes', '--no-pager', threshold, path]);
    const judged = judge(placed(role));
    expect({ ...judged, text: judged.text.split('\n').at(-2) }).toMatchObject({ status: 0 });
    const open = placed(role, (right) => right.replace(/^(ProtectSystem|RestrictNamespaces)=.*$/gm, ''));
    expect(judge(open).status).toBe(1);
  });

  it('runs its role, as Node is to run it, and is started again for ever', () => {
    expect(values('ExecStart')).toEqual([`/usr/local/bin/lifeboat worker ${role}`]);
    expect(values('EnvironmentFile')).toEqual([`/etc/lifeboat/${role}.env`]);
    expect(values('Environment').join(' ')).toContain(`NODE_OPTIONS=${WORKER_FLAGS.join(' ')}`);
    expect({ restart: values('Restart'), limit: values('StartLimitIntervalSec') }).toEqual({
      restart: ['always'],
      limit: ['0'],
    });
  });

  it('tells the worker alone to end, and waits longer than its grace', () => {
    const [, grace] = /shutdownGraceTime: '(\d+) seconds'/.exec(
      readFileSync(join(projectRoot(), 'workers/run.ts'), 'utf8'),
    ) as unknown as [string, string];
    expect(values('KillMode')).toEqual(['mixed']);
    expect(Number(values('TimeoutStopSec')[0])).toBeGreaterThanOrEqual(Number(grace) * 4);
  });

  it('has its state where the worker looks for it, and no secret in its settings', () => {
    const [state = ''] = values('StateDirectory');
    expect(values('Environment').join(' ')).toContain(`LIFEBOAT_STATE_DIRECTORY=%S/${state}`);
    expect(text).not.toMatch(/API_KEY|PASSWORD|SECRET_ACCESS/);
    expect(values('LoadCredential')).toContain('temporal.toml');
  });
});

describe('a data centre in a directory', () => {
  const override = read('local-data-centre.conf');

  itBySystemd('has an override that systemd understands', () => {
    // What an override says has the place that it would have at the end of the unit.
    const path = placed('backup-proxy', (unit) => `${unit.replace(/\[Install\][^]*/, '')}${override}`);
    expect(analyze(['verify', path])).toEqual({ status: 0, text: '' });
  });

  it('has everything off by which systemd gives a service mounts of its own', () => {
    const sandboxing = [...read(unitOf('backup-proxy')).matchAll(/^((?:Protect|Private)\w+)=/gm)];
    expect(sandboxing.length).toBeGreaterThan(8);
    for (const [, key = ''] of sandboxing) expect(override).toMatch(new RegExp(`^${key}=no$`, 'm'));
    expect(override).toMatch(/^KillMode=process$/m);
  });
});

describe('worker.env.example', () => {
  const lines = read('worker.env.example')
    .split('\n')
    .map((line) => /^#?([A-Z][A-Z_]+)=(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, key = '', value = '']) => [key, value] as const);
  const env = Object.fromEntries(lines);

  it('has what each role asks for, as it is to be', () => {
    expect(workerSettings('control', env).repository).toMatchObject({
      bucket: 'bucket',
      prefix: 'lifeboat/',
    });
    expect(awsProxySettings(env)).toMatchObject({ instanceId: env.LIFEBOAT_PROXY_INSTANCE_ID });
    expect(webhookSecrets(env).file).toBe('/run/credentials/lifeboat-control.service/webhook-secrets.yaml');
    // Its file is on the proxy only.
    expect(() => backupProxySettings(env)).toThrow('/etc/lifeboat/vsphere.yaml');
  });

  it('names credentials that a unit loads', () => {
    for (const [, value] of lines) {
      const [, role, name] = /^\/run\/credentials\/lifeboat-([a-z-]+)\.service\/(.+)$/.exec(value) ?? [];
      if (role !== undefined) expect(read(unitOf(role))).toContain(`LoadCredential=${name}\n`);
    }
  });

  it('is all that the units bring, and the one that the installed units name', () => {
    expect(readdirSync(folder).sort()).toEqual(
      ['local-data-centre.conf', 'worker.env.example', ...ROLES.map(unitOf)].sort(),
    );
  });
});
