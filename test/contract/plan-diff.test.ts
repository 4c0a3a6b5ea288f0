import { writeFileSync } from 'node:fs';
import { noteTest } from '../../activities/control/readiness';
import { runCli } from '../../cli/program';
import { loadPlanFile } from '../../plan/load';
import { publishPlan } from '../../repository/plans/plans';
import { readReadiness } from '../../repository/plans/readiness-record';
import { publishDrCopy, DB_DISKS, type FailoverSite, startFailoverSite } from '../support/failover-site';
import { testIo } from '../unit/cli-io';
import { GOOD_PLAN, planFolder } from '../unit/plan-file';

const POINT = '20261123T101500Z-0199abcd';

describe('the versions of a plan, and its instance types', () => {
  let site: FailoverSite;
  let folder: ReturnType<typeof planFolder>;
  const environment = { ...process.env };
  beforeAll(async () => {
    site = await startFailoverSite();
    folder = planFolder();
    const tried = { rehearsedAt: '2026-11-23T10:15:01.000Z', outcome: 'adaptable' as const, warnings: [] };
    await publishDrCopy(site, 'db', DB_DISKS, { ...tried, family: 'Debian', kernels: ['6.1.0-18'] });
    const { repository } = site.run('diff');
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: repository.endpoint,
      AWS_REGION: repository.region,
      LIFEBOAT_REPOSITORY: `s3://${repository.bucket}`,
    });
  });
  afterAll(async () => {
    process.env = environment;
    folder.remove();
    await site.stop();
  });

  async function cli(...argv: string[]) {
    const world = testIo(process.env, folder.directory);
    const exitCode = await runCli(argv, world.io);
    return { exitCode, out: world.out, err: world.err, json: () => world.json };
  }
  const publish = async () => {
    const { plan, scripts } = await loadPlanFile(folder.file);
    return publishPlan(site.store, plan, scripts);
  };

  it('shows what changed since the last test and since the published version, with the exit codes of diff', async () => {
    const { digest } = await publish();
    expect(await cli('plan', 'diff', 'shop')).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('The plan shop was never tested. To compare') as string,
    });
    expect(await cli('plan', 'diff', 'shop', '--since', 'published')).toMatchObject({ exitCode: 0 });
    const run = { ...site.run('test'), digest };
    const testedAt = '2026-11-30T10:00:00.000Z';
    await noteTest(site.store, {
      ...{ run, testedAt, rtoSeconds: 60, awsProxy: '0.1.0' },
      recoveryPoints: { db: POINT, web: '20261123T101500Z-0199abce' },
    });
    expect((await readReadiness(site.store, 'shop'))?.lastTest).toEqual({
      ...{ digest, runId: 'test', testedAt, rtoSeconds: 60, awsProxy: '0.1.0' },
      guests: {
        db: {
          ...{ guestOs: 'debian12_64Guest', firmware: 'bios', disks: ['system*', 'data'] },
          ...{ family: 'Debian', kernels: ['6.1.0-18'] },
        },
      },
    });
    expect(await cli('plan', 'diff', 'shop')).toMatchObject({
      exitCode: 0,
      out: `Nothing changed since the version that was tested at ${testedAt} (${digest.slice(0, 12)}).\n`,
    });

    writeFileSync(
      folder.file,
      GOOD_PLAN.replace('frequency: 15m', 'frequency: 30m').replace('t3.small', 't3.large'),
    );
    const changed = await cli('plan', 'diff', folder.file);
    expect(changed.exitCode).toBe(1);
    expect(changed.out).toMatch(
      /^Changed since .*:\n~ replication\.frequency: 900 → 1800\n~ vms\.web\.instanceTypes: \["t3\.small"\] → \["t3\.large"\]\n$/,
    );
    const document = await cli('plan', 'diff', 'shop', folder.file, '--since', 'published', '--json');
    expect(document.exitCode).toBe(1);
    expect(document.json()).toMatchObject({
      ...{ command: 'plan diff', ok: true, plan: 'shop', since: 'published' },
      from: { digest, testedAt: null },
      changes: [
        { path: 'replication.frequency', before: 900, after: 1800 },
        { path: 'vms.web.instanceTypes' },
      ],
    });
    writeFileSync(folder.file, GOOD_PLAN.replace('name: shop', 'name: other'));
    expect(await cli('plan', 'diff', 'shop', folder.file)).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('is the plan "other", not "shop"') as string,
    });
    writeFileSync(folder.file, GOOD_PLAN);
  });

  it('proposes instance types by what the newest backups say, and tells which of the plan are too small', async () => {
    writeFileSync(folder.file, GOOD_PLAN.replace('[m6i.large, m5.large]', '[m6i.large, t3.nano, z9.huge]'));
    const proposed = await cli('validate', folder.file, '--types');
    expect(proposed).toMatchObject({ exitCode: 0 });
    expect(proposed.out).toMatch(
      /│ db +│ 2 CPUs, 1 GiB +│ m6i\.large, t3\.nano \(too small\), z9\.huge │ c6i\.large, m7i\.large, m6i\.large │/,
    );
    expect(proposed.out).toMatch(/│ web │ never backed up │ t3\.small +│ +│/);
    const plain = await cli('validate', folder.file);
    expect(plain.out).not.toContain('proposed');
    const document = await cli('validate', folder.file, '--types', '--json');
    expect(document.json()).toMatchObject({
      instanceTypes: [
        {
          ...{
            vm: 'db',
            size: { cpus: 2, memoryMiB: 1024 },
            proposed: ['c6i.large', 'm7i.large', 'm6i.large'],
          },
          planned: [
            { type: 'm6i.large', fits: true },
            { type: 't3.nano', fits: false },
            { type: 'z9.huge', fits: 'unknown' },
          ],
        },
        { vm: 'web', size: null, proposed: [] },
      ],
    });
    writeFileSync(folder.file, GOOD_PLAN);
  });
});
