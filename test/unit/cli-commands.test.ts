import { once } from 'node:events';
import http from 'node:http';
import { createServer } from 'node:net';
import { type AddressInfo } from 'node:net';
import path from 'node:path';
import { writeFileSync } from 'node:fs';
import { explainError } from '../../cli/explain-error';
import { runCli } from '../../cli/program';
import { testIo } from './cli-io';
import { GOOD_PLAN, planFolder } from './plan-file';

let folder: ReturnType<typeof planFolder>;
const environment = { ...process.env };
beforeEach(() => {
  folder = planFolder();
  // Nothing of this machine's settings; a port that nobody listens on.
  for (const name of Object.keys(process.env))
    if (/^(AWS|TEMPORAL|LIFEBOAT)_/.test(name)) delete process.env[name];
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    TEMPORAL_ADDRESS: '127.0.0.1:9',
    TEMPORAL_CONFIG_FILE: path.join(folder.directory, 'none.toml'),
  });
});
afterEach(() => {
  folder.remove();
  process.env = { ...environment };
});

async function cli(...argv: string[]) {
  const world = testIo(process.env, folder.directory);
  const exitCode = await runCli(argv, world.io);
  return { exitCode, out: world.out, err: world.err, json: () => world.json };
}

async function httpServer(answer: http.RequestListener) {
  const server = http.createServer(answer);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('the command line', () => {
  it.each([
    [['--at', '2026-11-30T09:15:00'], '--at must be a date, a time and its zone, like 2026-11-30T09:15:00Z'],
    [['--at', '2026-11-30T09:15:00Z', '--planned'], "'--at <time>' cannot be used with option '--planned'"],
    [['--at', '2026-11-30T09:15:00Z', '--point', 'x'], "cannot be used with option '--"],
    [['--force', 'dns,dr-copy'], '--force takes instance-type, licensed-image, '],
  ])('refuses a failover to %j before anything is asked', async (options, message) => {
    const refused = await cli('failover', 'shop', ...options);
    expect(refused.exitCode).toBe(2);
    expect(refused.err).toContain(message);
  });

  it.each([[[]], [['0.1.0+4d1f0c27b9e8', '--unversioned']]])(
    'refuses a promotion of %j, which names no one version',
    async (named) => {
      const refused = await cli('worker', 'promote', ...named);
      expect(refused.exitCode).toBe(2);
      expect(refused.err).toContain('Name a build id (lifeboat worker versions), or --unversioned.');
    },
  );

  it('shows its help and version on stdout', async () => {
    const help = await cli('--help');
    expect(help).toMatchObject({ exitCode: 0, err: '' });
    for (const command of [
      'check',
      'backup',
      'restore',
      'failover',
      'failback',
      'commit',
      'verify',
      'schedule',
      'notify',
      'repository',
      'status',
      'points',
      'console',
      'worker',
      'sandbox',
      'demo',
      'validate',
    ])
      expect(help.out).toMatch(new RegExp(`^  ${command} `, 'm'));
    expect(await cli('--version')).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+(\+[0-9a-f]{12})?\n$/) as string,
    });
    expect((await cli('failover', '--help')).out).toContain('--no-wait');
  });

  it.each([
    [[], 'which command?'],
    [['bakup', 'x'], "unknown command 'bakup'"],
    [['backup'], "missing required argument 'plan'"],
    [['backup', 'x', '--fast'], "unknown option '--fast'"],
    [['worker', 'root'], "'root' is invalid for argument 'role'"],
    [['failback', 'x', '--hardware', 'big'], 'Allowed choices are instance, original'],
    [['schedule', 'start', 'x'], "unknown command 'start'"],
    [['repository', 'repair', 'x'], "unknown command 'repair'"],
    [['notify', 'x'], "required option '--test' not specified"],
    [['repository', 'check', 'x', '--fast'], "unknown option '--fast'"],
  ])('refuses %j with 2', async (argv, message) => {
    const { exitCode, out, err } = await cli(...argv);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toContain(message);
    expect(err.trimEnd()).not.toContain('\n');
  });

  it('gives usage errors as a JSON document, too', async () => {
    const { exitCode, json } = await cli('backup', '--json');
    expect(exitCode).toBe(2);
    expect(json()).toEqual({
      command: 'backup',
      ok: false,
      exitCode: 2,
      error: { message: expect.stringContaining('missing') as string },
    });
  });
});

describe('validate', () => {
  it('says what the order will be', async () => {
    const { exitCode, out, err } = await cli('validate', folder.file);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toMatch(/^The plan "shop" is good \(version [0-9a-f]{12}\)\.\nStart order: db → web\n$/);
  });

  it('tells what the primary site calls a VM where that is not the name in the plan', async () => {
    writeFileSync(
      folder.file,
      GOOD_PLAN.replace('  - name: db\n', '  - name: db\n    primaryVm: /Datacenter/vm/SQL PROD 01\n'),
    );
    const { out } = await cli('validate', folder.file);
    expect(out).toMatch(/web\ndb is "\/Datacenter\/vm\/SQL PROD 01" at the primary site\.\n$/);
    const { primaryVms } = (await cli('validate', folder.file, '--json')).json() as { primaryVms: unknown };
    expect(primaryVms).toEqual({ db: '/Datacenter/vm/SQL PROD 01', web: 'web' });
  });

  it('has a stable document', async () => {
    const hex = expect.stringMatching(/^[0-9a-f]{64}$/) as string;
    expect((await cli('validate', 'plan.yaml', '--json')).json()).toEqual({
      command: 'validate',
      ok: true,
      plan: 'shop',
      digest: hex,
      startOrder: [['db'], ['web']],
      primaryVms: { db: 'db', web: 'web' },
      bootScripts: [{ name: 'hello.sh', sha256: hex }],
    });
  });

  it('tells one problem with its place', async () => {
    writeFileSync(folder.file, GOOD_PLAN.replace('dependsOn: [db]', 'dependsOn: [dbb]'));
    const { exitCode, out, err } = await cli('validate', folder.file);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toMatch(/^lifeboat: .*plan\.yaml:25:17 vms\[1\]\.dependsOn\[0\]: there is no VM "dbb".*\n$/);
    expect((await cli('validate', folder.file, '--json')).json()).toMatchObject({
      ok: false,
      exitCode: 2,
      error: { line: 25, column: 17, field: 'vms[1].dependsOn[0]' },
    });
  });
});

describe('commands that need a site', () => {
  it('end with 3 where Temporal does not answer, and name the address', async () => {
    const { exitCode, out, err } = await cli('backup', folder.file);
    expect({ exitCode, out }).toEqual({ exitCode: 3, out: '' });
    expect(err).toMatch(/^lifeboat: Temporal does not answer at 127\.0\.0\.1:9; .*\n$/);
  }, 15_000);

  it.each([
    [403, 'AccessDenied', 3, /AccessDenied/],
    [503, 'ServiceUnavailable', 3, /ServiceUnavailable/],
    [404, 'NoSuchBucket', 2, /Check repository\.bucket in the plan/],
  ])('where S3 answers %d %s, end with the code for that', async (status, code, wanted, message) => {
    const site = await httpServer((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(`<Error><Code>${code}</Code><Message>no</Message></Error>`);
    });
    process.env.AWS_ENDPOINT_URL = site.url;
    process.env.LIFEBOAT_REPOSITORY = 's3://lifeboat-shop';
    const { exitCode, out, err } = await cli('status', 'shop');
    site.server.close();
    expect({ exitCode, out }).toEqual({ exitCode: wanted, out: '' });
    expect(err).toMatch(message);
    expect(err.trimEnd()).not.toContain('\n');
  });

  it('end with 3 where no connection to AWS comes about', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9'), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
    });
    expect(explainError(refused)).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
  });

  it('end with 2 where a bad plan, a bad name or a missing setting is in the way, before anything is asked', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const port = (server.address() as AddressInfo).port;
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
      TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
    });

    expect(await cli('backup', './no.yaml')).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('there is no such file') as string,
    });
    expect(await cli('failover', 'Shop!')).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('neither the path') as string,
    });
    expect(await cli('restore', 'shop')).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('set LIFEBOAT_REPOSITORY') as string,
    });
    process.env.LIFEBOAT_REPOSITORY = 's3://other/';
    expect(await cli('commit', folder.file)).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('make them the same') as string,
    });
    expect(connections).toBe(0);
    await new Promise((resolve) => server.close(resolve));
  });

  it('shows the stack only when debugging', async () => {
    process.env.LIFEBOAT_DEBUG = '1';
    expect((await cli('validate', './no.yaml')).err).toMatch(/\n\s+at /);
  });
});
