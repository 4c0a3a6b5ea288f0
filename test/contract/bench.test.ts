import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = resolve(__dirname, '../..');
const main = join(root, 'dist/bench/main.js');
const coldsnap = process.env.COLDSNAP_BIN ?? resolve(root, '../shared/tools/coldsnap');

/** Benchmarks run from dist/, which `npm test` builds first. */
describe('npm run bench', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lifeboat-bench-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const bench = (args: string[], env: NodeJS.ProcessEnv = {}) =>
    run(process.execPath, [main, ...args, '--directory', directory], { env: { ...process.env, ...env } });

  it('lists the benchmarks', async () => {
    const { stdout } = await bench([]);
    for (const name of [
      'put',
      'restore',
      'incremental',
      'failback',
      'backup',
      'scale',
      'resume',
      'adapt',
      'failover',
    ])
      expect(stdout).toContain(`\n  ${name} `);
  });

  it('refuses what it does not know, and says when a peer is missing', async () => {
    await expect(bench(['fly'])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no benchmark "fly"'),
    });
    await expect(bench(['put'], { COLDSNAP_BIN: '', PATH: '/nowhere' })).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no coldsnap to compare with'),
    });
    await expect(bench(['failover', '--vms', '0'])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--vms must be a whole number from 1'),
    });
  }, 60_000);

  it('fails a small plan over by launch copies, and ends with one line of JSON', async () => {
    const args = ['failover', '--vms', '3', '--volume-vms', '0', '--quick', '--json'];
    const { stdout } = await bench(args);
    const found = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
    const process = { peakMiB: expect.any(Number), cpuSeconds: expect.any(Number) };
    const failedOver = {
      wallSeconds: expect.any(Number),
      boundSeconds: expect.any(Number),
      ratio: expect.any(Number),
      mutatingCallsAVm: {
        onThePath: { 'ec2:RegisterImage': 1, 'ec2:RunInstances': 1 },
        beside: { 'ec2:CreateTags': 1, 'ec2:DeregisterImage': 1 },
      },
      processes: { 'worker-control': process, 'worker-aws-proxy': process, temporal: process },
      controlAndServerMiB: expect.any(Number),
      replay: { run: expect.any(Number), vm: expect.any(Number) },
    };
    expect(found).toMatchObject({
      name: 'failover',
      launchCopies: { ...failedOver, vms: 3, tiers: [1, 1, 1], launchedBy: { 'launch copy': 3 } },
      chain: { ...failedOver, vms: 2, tiers: [1, 1], launchedBy: { 'launch copy': 2 } },
      volumes: null,
    });
    const { processes } = found.launchCopies as { processes: Record<string, { beforeMiB: number }> };
    // 210; with AWS's client for EC2, which it never uses, 260.
    expect(processes['worker-control']?.beforeMiB).toBeLessThan(240);
  }, 300_000);

  (existsSync(coldsnap) ? it : it.skip)(
    'puts a small disk on both sides, and ends with one line of JSON (skipped where COLDSNAP_BIN names no file)',
    async () => {
      const args = ['put', '--size-mib', '16', '--pairs', '1', '--json'];
      const { stdout } = await bench(args, { COLDSNAP_BIN: coldsnap });
      const found = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
      const side = {
        wallSeconds: expect.any(Number),
        cpuSeconds: expect.any(Number),
        maxRssMiB: expect.any(Number),
      };
      expect(found).toMatchObject({
        name: 'put',
        ours: side,
        peer: side,
        ratio: { wall: expect.any(Number), cpu: expect.any(Number) },
        ceiling: { blocksPerSecond: expect.any(Number), endpointCpuMsPerBlock: expect.any(Number) },
        blocks: 24,
        machine: { cores: expect.any(Number), node: process.version },
      });
    },
    120_000,
  );
});
