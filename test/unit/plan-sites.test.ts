import { writeFileSync } from 'node:fs';
import { loadPlanFile, PlanError } from '../../plan/load';
import { namedVms } from '../../plan/named-vms';
import { normalizedPlanSchema } from '../../plan/normalized';
import { vmSite } from '../../plan/recovery-site/vm-site';
import { volumesByDisk } from '../../plan/recovery-site/volume-settings';
import { volumeProblems, type VolumeSettings } from '../../plan/recovery-site/volume-types';
import { GOOD_PLAN, planFolder } from './plan-file';

let folder: ReturnType<typeof planFolder>;
beforeEach(() => (folder = planFolder()));
afterEach(() => folder.remove());

/** The good plan with lines for `db`, and in the place of the site's subnet of production. */
const withDb = (lines: string, site = '    subnet: subnet-0a11fe00000000001\n'): string =>
  GOOD_PLAN.replace('    subnet: subnet-0a11fe00000000001\n', site).replace(
    '    hostNames: [db.shop.example]\n',
    `    hostNames: [db.shop.example]\n${lines}`,
  );

async function load(text: string) {
  writeFileSync(folder.file, text);
  return (await loadPlanFile(folder.file)).plan;
}

async function problemOf(text: string): Promise<string> {
  const error: unknown = await load(text).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof PlanError)) throw new Error(`no PlanError, but ${String(error)}`);
  return error.message.replace(/^.*plan\.yaml:\d+:\d+ /, '');
}

const OWN = `    recoverySite:
      production:
        subnets: [subnet-0a11fe0000000000a, subnet-0a11fe0000000000b]
        instanceProfile: shop-db
        tags: { CostCentre: "42", Owner: dba }
        privateAddress: 10.0.1.30
        secondaryAddresses: [10.0.1.31]
        volumes:
          volumeInitializationRate: 200
          disks:
            data: { volumeType: io2, iops: 20000 }
      test: { privateAddress: 10.0.2.30, volumes: { volumeType: gp2 } }
`;
const SITE = `    subnet: subnet-0a11fe00000000001
    instanceProfile: shop
    tags: { CostCentre: "1", Name: shop }
    volumes: { iops: 6000, throughput: 500 }
`;

describe("a VM's own values of a site", () => {
  it("stand in the place of the site's, field by field, and each site has its own", async () => {
    const plan = await load(withDb(OWN, SITE));
    const [db, web] = plan.vms;
    const { production, test } = plan.recoverySite;
    expect(vmSite(production, db!, false)).toEqual({
      subnet: undefined,
      subnets: ['subnet-0a11fe0000000000a', 'subnet-0a11fe0000000000b'],
      securityGroups: ['sg-0a11fe00000000001'],
      publicAddress: true,
      instanceProfile: 'shop-db',
      tags: { CostCentre: '42', Name: 'shop', Owner: 'dba' },
      privateAddress: '10.0.1.30',
      secondaryAddresses: ['10.0.1.31'],
    });
    expect(vmSite(production, web!, false)).toEqual({
      subnet: 'subnet-0a11fe00000000001',
      subnets: undefined,
      securityGroups: ['sg-0a11fe00000000001'],
      publicAddress: true,
      instanceProfile: 'shop',
      tags: { CostCentre: '1', Name: 'shop' },
    });
    expect(vmSite(test, db!, true)).toEqual({
      subnet: 'subnet-0a11fe00000000002',
      subnets: undefined,
      securityGroups: ['sg-0a11fe00000000002'],
      publicAddress: false,
      privateAddress: '10.0.2.30',
    });
    // What is stored and read back is the same plan.
    expect(normalizedPlanSchema.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
  });

  it('leave a plan that has none as it was', async () => {
    const plan = await load(GOOD_PLAN);
    expect(Object.keys(plan.vms[0]!)).not.toEqual(expect.arrayContaining(['recoverySite']));
    expect(plan.vms[0]).not.toHaveProperty('peers');
    expect(plan.recoverySite.production).toEqual({
      subnet: 'subnet-0a11fe00000000001',
      securityGroups: ['sg-0a11fe00000000001'],
      publicAddress: true,
    });
  });

  it('tell how volumes are made: by site, VM and disk, and in a test as in production where nothing is said', async () => {
    const plan = await load(withDb(OWN, SITE));
    const [db, web] = plan.vms;
    const keys = ['system', 'data'];
    expect(volumesByDisk(plan, db!, false, keys)).toEqual({
      system: { iops: 6000, throughput: 500, volumeInitializationRate: 200 },
      // Another type does not mean the performance of the one before.
      data: { volumeType: 'io2', iops: 20_000, volumeInitializationRate: 200 },
    });
    const inTest = { volumeType: 'gp2', volumeInitializationRate: 200 };
    expect(volumesByDisk(plan, db!, true, keys)).toEqual({ system: inTest, data: inTest });
    expect(volumesByDisk(plan, web!, true, ['system'])).toEqual({ system: { iops: 6000, throughput: 500 } });
    expect(volumesByDisk(await load(GOOD_PLAN), web!, false, keys)).toEqual({});
  });
});

const production = (more: string): string => `    recoverySite: { production: { ${more} } }\n`;
const volumes = (more: string): string => production(`volumes: { ${more} }`);
const OF_DB = 'vms[0].recoverySite.production';

it.each([
  [
    'both ways to name subnets',
    production('subnet: subnet-0a11fe0000000000a, subnets: [subnet-0a11fe0000000000b]'),
    `${OF_DB}: takes one of subnet and subnets, not both`,
  ],
  [
    'a field that is none',
    production('subnetz: []'),
    `${OF_DB}.subnetz: is not known here; did you mean "subnet"?`,
  ],
  [
    'a field of a disk that is none',
    volumes('disks: { data: { iop: 1 } }'),
    `${OF_DB}.volumes.disks.data.iop: is not known here; did you mean "iops"?`,
  ],
  [
    'a disk key that is none',
    volumes('disks: { "a/b": { iops: 3000 } }'),
    `${OF_DB}.volumes.disks.a/b: must be the key of a disk`,
  ],
  [
    "a tag of AWS's",
    production('tags: { "AWS:x": y }'),
    `${OF_DB}.tags.AWS:x: is a name that AWS keeps for itself`,
  ],
  [
    "a tag of Lifeboat's",
    production('tags: { "Lifeboat:role": dr-copy }'),
    `${OF_DB}.tags.Lifeboat:role: is a name that Lifeboat goes by`,
  ],
  [
    "the proxies' tag",
    production('tags: { lifeboat-proxy: "true" }'),
    `${OF_DB}.tags.lifeboat-proxy: is a name that Lifeboat goes by`,
  ],
  [
    'a tag that is no text',
    production('tags: { CostCentre: 42 }'),
    `${OF_DB}.tags.CostCentre: must be text, not 42`,
  ],
  [
    'too many tags',
    production(`tags: { ${Array.from({ length: 31 }, (_, n) => `t${n}: x`).join(', ')} }`),
    `${OF_DB}.tags: must have at most 30 tags`,
  ],
  [
    'an instance profile that is none',
    production('instanceProfile: "arn:aws:iam::1:role/x"'),
    `${OF_DB}.instanceProfile: must be the name of an instance profile`,
  ],
  [
    'an address twice in one VM',
    production('privateAddress: 10.0.1.9, secondaryAddresses: [10.0.1.9]'),
    `${OF_DB}.secondaryAddresses[0]: 10.0.1.9 is given to the VM twice`,
  ],
  [
    'secondary addresses alone',
    production('secondaryAddresses: [10.0.1.9]'),
    `${OF_DB}.secondaryAddresses: needs a privateAddress beside it`,
  ],
  [
    'the private address in two places',
    `    privateAddress: 10.0.1.8\n${production('privateAddress: 10.0.1.9')}`,
    `${OF_DB}.privateAddress: is the same setting as the privateAddress of the VM`,
  ],
  [
    'an address that is none of a VM',
    production('privateAddress: 169.254.169.254'),
    `${OF_DB}.privateAddress: 169.254.169.254 cannot be a VM's address`,
  ],
  [
    'the test subnet of production',
    production('subnet: subnet-0a11fe00000000002'),
    'recoverySite.test.subnet: subnet-0a11fe00000000002 is the production subnet, too',
  ],
  [
    'a group twice',
    production('securityGroups: [sg-0a11fe00000000001, sg-0a11fe00000000001]'),
    `${OF_DB}.securityGroups[1]: sg-0a11fe00000000001 is listed twice`,
  ],
  ['iops of gp2', volumes('volumeType: gp2, iops: 3000'), `${OF_DB}.volumes.iops: gp2 volumes take no iops`],
  [
    'io2 without iops',
    volumes('disks: { data: { volumeType: io2 } }'),
    `${OF_DB}.volumes.disks.data.volumeType: io2 volumes need iops; add it`,
  ],
  [
    'a rate that is too high',
    volumes('volumeInitializationRate: 301'),
    `${OF_DB}.volumes.volumeInitializationRate: must be 100 to 300 MiB/s, not 301`,
  ],
  ['a type that is none', volumes('volumeType: gp4'), `${OF_DB}.volumes.volumeType: must be "gp3"`],
  [
    'no such peer',
    '    peers: [dc]\n',
    'vms[0].peers[0]: there is no VM "dc" in this plan; did you mean "db"?',
  ],
  ['itself as a peer', '    peers: [db]\n', 'vms[0].peers[0]: "db" is this VM itself'],
  [
    'a peer without a name',
    '    peers: [web]\n',
    'vms[0].peers[0]: "web" has no hostNames that it could be found by',
  ],
])('refuses %s', async (_, lines, message) => {
  expect(await problemOf(withDb(lines))).toContain(message);
});

it('knows that the VM of a public record has no public address', async () => {
  const own = '    recoverySite: { production: { publicAddress: false } }\n';
  expect(await problemOf(GOOD_PLAN.replace('    bootScript: hello.sh\n', own))).toContain(
    'dns.records[0].address: the instances get no public address',
  );
});

it.each<[VolumeSettings, string[]]>([
  [{}, []],
  [{ iops: 80_000, throughput: 2000 }, []],
  [{ iops: 2999 }, ['iops: must be 3000 to 80000 for gp3, not 2999']],
  [{ iops: 80_001 }, ['iops: must be 3000 to 80000 for gp3, not 80001']],
  [{ throughput: 750 }, []],
  [{ throughput: 751 }, ['throughput: 751 MiB/s needs at least 3004 iops; raise iops, or lower it']],
  [{ throughput: 124 }, ['throughput: must be 125 to 2000 MiB/s, not 124']],
  [{ iops: 10_000, throughput: 2001 }, ['throughput: must be 125 to 2000 MiB/s, not 2001']],
  [{ volumeType: 'io1', iops: 64_001 }, ['iops: must be 100 to 64000 for io1, not 64001']],
  [{ volumeType: 'io2', iops: 256_000 }, []],
  [
    { volumeType: 'io2', iops: 100, throughput: 125 },
    ['throughput: io2 volumes take no throughput; take it out, or choose gp3'],
  ],
  [{ volumeType: 'st1' }, []],
  [{ volumeInitializationRate: 99 }, ['volumeInitializationRate: must be 100 to 300 MiB/s, not 99']],
])('knows what EC2 takes: %j', (settings, problems) => {
  expect(volumeProblems(settings).map(({ field, message }) => `${field}: ${message}`)).toEqual(problems);
});

it.each<[VolumeSettings, { volumeGiB: number; boot: boolean }, string[]]>([
  [{ iops: 3000 }, { volumeGiB: 1, boot: true }, []],
  [
    { iops: 5001 },
    { volumeGiB: 10, boot: true },
    ['iops: must be at most 5000 for gp3 of 10 GiB (500 a GiB), not 5001'],
  ],
  [
    { volumeType: 'io1', iops: 501 },
    { volumeGiB: 10, boot: true },
    ['iops: must be at most 500 for io1 of 10 GiB (50 a GiB), not 501'],
  ],
  [{ volumeType: 'io2', iops: 4000 }, { volumeGiB: 4, boot: true }, []],
  [{ volumeType: 'sc1' }, { volumeGiB: 125, boot: false }, []],
  [
    { volumeType: 'st1' },
    { volumeGiB: 124, boot: true },
    [
      'volumeType: st1 volumes have 125 to 16384 GiB, and this one 124; choose another',
      'volumeType: nothing boots from st1 volumes; choose another for this disk',
    ],
  ],
])('knows what EC2 takes of a disk: %j, %j', (settings, disk, problems) => {
  expect(volumeProblems(settings, disk).map(({ field, message }) => `${field}: ${message}`)).toEqual(
    problems,
  );
});

describe('peers', () => {
  const web = (lines: string): string =>
    GOOD_PLAN.replace('    dependsOn: [db]\n', `    peers: [db]\n${lines}`).replace(
      '    hostNames: [db.shop.example]\n',
      '    hostNames: [db.shop.example]\n    privateAddress: 10.0.1.30\n',
    );

  it('have to be somewhere, in production and in tests', async () => {
    expect(await problemOf(web(''))).toBe(
      'vms[1].peers[0]: "web" cannot know where "db" is, as it does not wait for it: ' +
        'give "db" recoverySite.test.privateAddress, or make "web" depend on it',
    );
    expect(await problemOf(web('').replace('    privateAddress: 10.0.1.30\n', ''))).toContain(
      'give "db" recoverySite.production.privateAddress',
    );
  });

  it('are named to a VM, as it is itself where its address is fixed', async () => {
    const plan = await load(
      web('    hostNames: [web]\n').replace(
        '    privateAddress: 10.0.1.30\n',
        '    privateAddress: 10.0.1.30\n    recoverySite: { test: { privateAddress: 10.0.2.30 } }\n',
      ),
    );
    const named = (vm: string) => namedVms(plan, vm).map(({ names, as }) => [as, ...names]);
    expect(named('web')).toEqual([['peer', 'db.shop.example']]);
    expect(named('db')).toEqual([['self', 'db.shop.example']]);
    expect(namedVms(await load(GOOD_PLAN), 'web')).toMatchObject([{ as: 'dependency' }]);
    expect(namedVms(await load(GOOD_PLAN), 'db')).toEqual([]);
  });
});
