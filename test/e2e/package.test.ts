import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { EXPECTED_FILE } from '../../client/aws-check/expected';
import { CHECK_POLICY } from '../../client/aws-check/policies';
import { projectRoot } from '../../host/project-root';
import { startTemporal } from '../workflows/local-temporal';

const run = promisify(execFile);

/** Measured: 2.8 MiB. The two bundles of the workflows (without versions, and with) are 0.7 MiB each of it: they carry their source maps. Those with traces, without maps, are 0.3 MiB each. */
const MOST_BYTES = 3 * 1024 * 1024;

/**
 * What `npm pack` makes of dist/, installed outside of the checkout: extracted, with links to the packages that its
 * package.json names and to no others.
 */
describe('the package', () => {
  let elsewhere: string;
  let installed: string;
  let tarball: string;

  beforeAll(async () => {
    elsewhere = await mkdtemp(join(tmpdir(), 'lifeboat-package-'));
    installed = join(elsewhere, 'node_modules', 'lifeboat');
    await mkdir(installed, { recursive: true });
    // Not `prepack`: it builds, into the dist/ from which other tests run.
    const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', elsewhere];
    const { stdout } = await run('npm', args, { cwd: projectRoot() });
    expect(stdout).toContain('lifeboat-');
    const [name] = (await readdir(elsewhere)).filter((file) => file.endsWith('.tgz'));
    tarball = join(elsewhere, String(name));
    await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed]);
    for (const dependency of Object.keys((await manifest()).dependencies)) {
      const link = join(elsewhere, 'node_modules', dependency);
      await mkdir(dirname(link), { recursive: true });
      await symlink(join(projectRoot(), 'node_modules', dependency), link);
    }
  }, 60_000);
  afterAll(() => rm(elsewhere, { recursive: true, force: true }));

  const manifest = async () =>
    JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
      version: string;
      dependencies: Record<string, string>;
    };

  /** As on a host that has nothing of Lifeboat: neither its settings nor its working directory. */
  const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
    PATH: process.env.PATH,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'nobody',
    AWS_SECRET_ACCESS_KEY: 'nothing',
    ...more,
  });

  /** The command as npm links it; resolves to its exit code and output, whatever they are. */
  async function lifeboat(args: string[], env: NodeJS.ProcessEnv = {}) {
    const argv = [join(installed, 'bin', 'lifeboat.mjs'), ...args];
    return run(process.execPath, argv, { cwd: elsewhere, env: environment(env) }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
        code,
        stdout,
        stderr,
      }),
    );
  }

  it('is small, and holds neither tests nor the sandbox', async () => {
    expect((await stat(tarball)).size).toBeLessThan(MOST_BYTES);
    const files = await readdir(installed, { recursive: true });
    expect(
      files.filter((file) => /(^|\/)(test|bench|sandbox)(\/|$)|\.test\.|\.ts$|\.map$/.test(file)),
    ).toEqual([]);
    expect(files.filter((file) => /^setup\/.*\.mjs$/.test(file)).sort()).toEqual([
      'setup/appliance.mjs',
      'setup/apt.mjs',
      'setup/process.mjs',
    ]);
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'docs/cli.md']));
    // What `aws check` compares with, and looks up for who is refused something.
    expect(files).toEqual(expect.arrayContaining([EXPECTED_FILE, CHECK_POLICY]));
  });

  it('has every module that its modules ask for, the sandbox left out', async () => {
    const missing = new Set<string>();
    const seen = new Set([join(installed, 'dist/cli/main.js')]);
    // A set that grows is gone through to its end.
    for (const file of seen) {
      const resolve = createRequire(file).resolve;
      for (const [, name = ''] of (await readFile(file, 'utf8')).matchAll(/\brequire\(["']([^"']+)["']\)/g))
        try {
          const found = resolve(name);
          if (found.startsWith(join(installed, 'dist/'))) seen.add(found);
        } catch {
          missing.add(name);
        }
    }
    expect(seen.size).toBeGreaterThan(150);
    // The packages of traces are optional peers.
    const ofTraces = /^@(opentelemetry\/|temporalio\/interceptors-opentelemetry)/;
    expect([...missing].filter((name) => !ofTraces.test(name)).sort()).toEqual([
      '../../sandbox/demo/run-demo',
      '../../sandbox/lifecycle',
    ]);
  });

  it('runs the command', async () => {
    const { version } = await manifest();
    const shown = await lifeboat(['--version']);
    expect(shown).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\S+\+[0-9a-f]{12}\n$/) as string,
      stderr: '',
    });
    expect(shown.stdout.split('+')[0]).toBe(version);
    expect(await lifeboat(['worker', 'control', '--help'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('a worker in the foreground'),
    });
    const plan = join(installed, 'examples/shop/plan.yaml');
    expect(await lifeboat(['validate', plan])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Start order: db → web'),
    });
  }, 60_000);

  it('says what to install where traces are asked for, whose packages are optional', async () => {
    const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
    const repository = { LIFEBOAT_REPOSITORY: 's3://lifeboat-shop/dr/' };
    for (const args of [
      ['backup', join(installed, 'examples/shop/plan.yaml')],
      ['worker', 'control'],
    ])
      expect(await lifeboat(args, { ...traced, ...repository })).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(
          /npm install @temporalio\/interceptors-opentelemetry @opentelemetry/,
        ) as string,
      });
  }, 60_000);

  it('makes the appliance, as the error tells whoever lacks it', async () => {
    await run(process.execPath, ['setup/appliance.mjs'], { cwd: installed });
    const made = join(installed, '.lifeboat/tools/appliance');
    for (const part of ['kernel', 'initramfs'])
      expect((await stat(join(made, part))).size).toBeGreaterThan(2 ** 20);
  }, 300_000);

  it('says in one sentence where nothing answers', async () => {
    const plan = join(installed, 'examples/shop/plan.yaml');
    const nowhere = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', TEMPORAL_ADDRESS: '127.0.0.1:1' };
    expect(await lifeboat(['backup', plan], nowhere)).toEqual({
      code: 3,
      stdout: '',
      stderr:
        'lifeboat: Temporal does not answer at 127.0.0.1:1; start it, or set TEMPORAL_ADDRESS to where it is.\n',
    });
    expect(await lifeboat(['status', plan], nowhere)).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^lifeboat: .*127\.0\.0\.1:1.*\n$/),
    });
  }, 60_000);

  it.each([['demo'], ['sandbox', 'up']])('says in one sentence that it has no %s', async (...args) => {
    const { code, stderr } = await lifeboat(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^lifeboat: The installed package has no \w+; .*checkout of Lifeboat's repository.*\n$/,
    );
  });

  it('runs a worker with the workflows in it, and ends it at SIGTERM', async () => {
    const temporal = await startTemporal();
    try {
      const settings = {
        TEMPORAL_ADDRESS: temporal.address,
        LIFEBOAT_REPOSITORY: 's3://nobody-asks/here',
        LIFEBOAT_STATE_DIRECTORY: elsewhere,
      };
      const worker = spawn(process.execPath, [join(installed, 'bin/lifeboat.mjs'), 'worker', 'control'], {
        cwd: elsewhere,
        env: environment(settings),
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let log = '';
      const ended = once(worker, 'exit');
      const running = new Promise<void>((resolve) =>
        worker.stderr.on('data', (data) => {
          log += String(data);
          if (log.includes("state: 'RUNNING'")) resolve();
        }),
      );
      const early = ended.then(([code]) => Promise.reject(new Error(`The worker ended (${code}): ${log}`)));
      await Promise.race([running, early]);
      early.catch(() => {});
      worker.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
    } finally {
      await temporal.teardown();
    }
  }, 90_000);
});
