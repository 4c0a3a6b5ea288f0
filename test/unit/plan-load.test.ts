import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { loadPlanFile, PlanError } from '../../plan/load';
import { normalizedPlanSchema } from '../../plan/normalized';
import { GOOD_PLAN, planFolder } from './plan-file';

let folder: ReturnType<typeof planFolder>;
beforeEach(() => (folder = planFolder()));
afterEach(() => folder.remove());

/** Loads the plan and gives the error's message without the folder. */
async function problemOf(text: string | Uint8Array): Promise<string> {
  writeFileSync(folder.file, text);
  const error: unknown = await loadPlanFile(folder.file).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof PlanError)) throw new Error(`no PlanError, but ${String(error)}`);
  return error.message.replace(`${folder.directory}/`, '');
}

const changed = (from: string, to: string): string => {
  if (!GOOD_PLAN.includes(from)) throw new Error(`the good plan has no ${from}`);
  return GOOD_PLAN.replace(from, to);
};

describe('a good plan', () => {
  it('is normalized: defaults filled in, durations in seconds, scripts by digest', async () => {
    const { plan, scripts } = await loadPlanFile(folder.file);
    const content = Buffer.from('#!/bin/sh\necho hello\n');
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(plan.replication).toEqual({ frequency: 900, copy: 'direct' });
    expect(plan.repository.prefix).toBe('');
    expect(plan.repository.retention).toEqual({ keepLast: 30, keepDaily: 14, keepWeekly: 8, keepMonthly: 0 });
    expect(plan.vms[1]).toMatchObject({
      name: 'web',
      readiness: { http: { port: 80, path: '/healthz', status: 200 }, timeout: 600 },
      bootScript: { name: 'hello.sh', sha256 },
    });
    expect(plan.vms[0]).not.toHaveProperty('bootScript');
    expect(scripts).toEqual([{ name: 'hello.sh', sha256, content }]);
  });

  it.each([
    ['{ tcp: 6379 }', { tcp: 6379, timeout: 600 }],
    ['{ http: {}, timeout: 5m }', { http: { port: 80, path: '/', status: 200 }, timeout: 300 }],
    [
      '{ https: { host: Shop.example } }',
      {
        https: { port: 443, path: '/', status: 200, host: 'Shop.example', verify: true },
        timeout: 600,
      },
    ],
    [
      '{ all: [{ tcp: 22 }, { https: { verify: false, contains: "it is up" } }] }',
      {
        all: [
          { tcp: 22 },
          { https: { port: 443, path: '/', status: 200, contains: 'it is up', verify: false } },
        ],
        timeout: 600,
      },
    ],
  ])('may be asked by %s', async (written, normalized) => {
    writeFileSync(folder.file, changed('{ tcp: 6379 }', written));
    const { plan } = await loadPlanFile(folder.file);
    // As text: the digest of a plan is of its text, and one of before must stay what it is.
    expect(JSON.stringify(plan.vms[0]?.readiness)).toBe(JSON.stringify(normalized));
    expect(normalizedPlanSchema.parse(plan)).toEqual(plan);
  });

  it('may share settings by anchors', async () => {
    writeFileSync(
      folder.file,
      GOOD_PLAN.replace('[m6i.large, m5.large]', '&types [m6i.large, m5.large]').replace(
        '[t3.small]',
        '*types',
      ),
    );
    const { plan } = await loadPlanFile(folder.file);
    expect(plan.vms[1]?.instanceTypes).toEqual(['m6i.large', 'm5.large']);
  });
});

it('retention takes counts and durations, and defaults where it says nothing', async () => {
  writeFileSync(
    folder.file,
    changed(
      '  bucket: lifeboat-shop',
      '  bucket: lifeboat-shop\n  retention: { keepLast: 3, keepWithin: 2d }',
    ),
  );
  const { plan } = await loadPlanFile(folder.file);
  expect(plan.repository.retention).toEqual({
    keepLast: 3,
    keepWithin: 172_800,
    keepDaily: 14,
    keepWeekly: 8,
    keepMonthly: 0,
  });
});

describe('what the primary site calls a VM', () => {
  const named = (text: string) =>
    changed('  - name: db\n', `  - name: db\n    primaryVm: ${JSON.stringify(text)}\n`);

  it.each([
    '/Datacenter/vm/Prod/SQL PROD 01',
    '/Datacenter/vm/a%2fb',
    '503a1c9e-7b1d-4a52-9c1e-0123456789AB',
    'SQL PROD 01',
    'x'.repeat(80),
    'Datenbank Zürich, [neu] (2)',
  ])('may be %j', async (name) => {
    writeFileSync(folder.file, named(name));
    const { plan } = await loadPlanFile(folder.file);
    expect(plan.vms[0]).toMatchObject({ name: 'db', primaryVm: name });
    expect(plan.vms[1]).not.toHaveProperty('primaryVm');
  });

  it.each([
    ['', 'must not be empty'],
    ['a\nb', 'must not hold line breaks, tabs or other control characters'],
    ['Prod/db', 'must be an inventory path like /Datacenter/vm/Folder/NAME'],
    ['/Datacenter//db', 'must be an inventory path like /Datacenter/vm/Folder/NAME'],
    ['/Datacenter/vm/', 'must be an inventory path like /Datacenter/vm/Folder/NAME'],
    ['x'.repeat(1001), 'must have at most 1000 characters'],
    ['web', 'two VMs of the plan are "web" at the primary site'],
  ])('is not %j', async (name, message) => {
    expect(await problemOf(named(name))).toMatch(message);
  });

  it('is one VM only, by whatever capitals its UUID is written in', async () => {
    const uuid = '503a1c9e-7b1d-4a52-9c1e-0123456789ab';
    const both = named(uuid).replace(
      '  - name: web\n',
      `  - name: web\n    primaryVm: ${uuid.toUpperCase()}\n`,
    );
    expect(await problemOf(both)).toMatch(
      /^plan\.yaml:25:16 vms\[1\]\.primaryVm: two VMs of the plan are "503a1c9e-.* primaryVm of its own$/,
    );
  });
});

describe('what of a VM is backed up, and how', () => {
  const named = (lines: string) => changed('  - name: db\n', `  - name: db\n    ${lines}\n`);

  it('is said by the plan, or left at all of it as after a power cut', async () => {
    writeFileSync(folder.file, named('consistency: quiesced\n    excludeDisks: [scratch, swap-2]'));
    const { plan } = await loadPlanFile(folder.file);
    expect(plan.vms[0]).toMatchObject({ consistency: 'quiesced', excludeDisks: ['scratch', 'swap-2'] });
    for (const field of ['consistency', 'excludeDisks']) expect(plan.vms[1]).not.toHaveProperty(field);
  });

  it.each([
    ['consistency: quiesce', 'consistency: must be "crash" or "quiesced", not "quiesce"'],
    ['excludeDisks: scratch', 'excludeDisks: must be a list'],
    [
      'excludeDisks: [../x]',
      'excludeDisks[0]: must be the key of a disk: letters, digits and "-", not "../x"',
    ],
    ['excludeDisks: [a, b, a]', 'excludeDisks[2]: "a" is listed twice; take one out'],
  ])('is not %j', async (lines, message) => {
    expect(await problemOf(named(lines))).toContain(`vms[0].${message}`);
  });
});

describe('the licensed image of a VM', () => {
  const licensed = (id: string) => changed('  - name: db\n', `  - name: db\n    licensedImage: ${id}\n`);

  it('is an image, and no other VM has it', async () => {
    writeFileSync(folder.file, licensed('ami-0123456789abcdef0'));
    const { plan } = await loadPlanFile(folder.file);
    expect(plan.vms[0]).toMatchObject({ licensedImage: 'ami-0123456789abcdef0' });
    expect(plan.vms[1]).not.toHaveProperty('licensedImage');
  });

  it('is not anything else', async () => {
    expect(await problemOf(licensed('snap-0123456789abcdef0'))).toContain(
      'vms[0].licensedImage: must be an id like ami-0123456789abcdef0, not "snap-0123456789abcdef0"',
    );
  });
});

describe('a bad plan gets one error with file, line, column and field', () => {
  const cases: [what: string, text: string, message: string | RegExp][] = [
    [
      'unknown VM in dependsOn',
      changed('dependsOn: [db]', 'dependsOn: [dbb]'),
      'plan.yaml:25:17 vms[1].dependsOn[0]: there is no VM "dbb" in this plan; did you mean "db"?',
    ],
    [
      'circle of dependencies',
      changed('hostNames: [db.shop.example]', 'dependsOn: [web]'),
      /^plan\.yaml:20:17 vms\[0\]\.dependsOn\[0\]: the VMs depend on each other in a circle, db → web → db,/,
    ],
    [
      'dependency on itself',
      changed('dependsOn: [db]', 'dependsOn: [web]'),
      /^plan\.yaml:25:17 .*"web" depends on itself/,
    ],
    [
      'unknown key',
      changed('  frequency: 15m', '  freqency: 15m'),
      'plan.yaml:16:3 replication.freqency: is not known here; did you mean "frequency"?',
    ],
    [
      'unknown key in a VM',
      changed('    hostNames:', '    hostnames:'),
      'plan.yaml:20:5 vms[0].hostnames: is not known here; did you mean "hostNames"?',
    ],
    ...(
      [
        ['retention that keeps nothing', 'keepLast: 0', 'keepLast: must be at least 1, not 0'],
        ['half a backup', 'keepDaily: 1.5', 'keepDaily: must be a whole number, not 1.5'],
        ['too many backups', 'keepWeekly: 10001', 'keepWeekly: must be at most 10000, not 10001'],
        ['retention without a number', 'keepMonthly: all', 'keepMonthly: must be a number, not "all"'],
        [
          'retention in words',
          'keepWithin: a week',
          'keepWithin: must be like 30s, 15m, 4h or 1d, not "a week"',
        ],
        ['retention for ever', 'keepWithin: 9999d', 'keepWithin: must be at most 366d'],
        ['unknown retention', 'keepYearly: 3', 'keepYearly: is not known here; did you mean "keepDaily"?'],
      ] as const
    ).map(([what, rule, message]): [string, string, string] => [
      what,
      changed('  bucket: lifeboat-shop', `  bucket: lifeboat-shop\n  retention: { ${rule} }`),
      `plan.yaml:15:${rule.startsWith('keepYearly') ? 16 : 16 + rule.indexOf(':') + 2} repository.retention.${message}`,
    ]),
    ...(
      [
        [
          'a window that is none',
          'between: "22-6"',
          'between: must be two different times of day like 22:00-06:00',
        ],
        [
          'a place that is no time zone',
          'between: "22:00-06:00", timeZone: Berlin',
          'timeZone: must be a time zone',
        ],
        ['no bandwidth', 'mbitPerSecond: 0', 'mbitPerSecond: must be at least 1, not 0'],
        ['an empty limit', '', ': needs mbitPerSecond, between or both'],
      ] as const
    ).map(([what, rule, message]): [string, string, RegExp] => [
      what,
      changed('frequency: 15m', `frequency: 15m\n  limit: { ${rule} }`),
      new RegExp(`^plan\\.yaml:17:\\d+ replication\\.limit${message.startsWith(':') ? '' : '\\.'}${message}`),
    ]),
    [
      'unknown key near nothing',
      changed('  hypervisor: local', '  hypervisor: local\n  colour: red'),
      'plan.yaml:4:3 primarySite.colour: is not known here; known are hypervisor, fence',
    ],
    [
      'missing field',
      changed('  bucket: lifeboat-shop', '  prefix: a/'),
      'plan.yaml:14:3 repository.bucket: is missing; add it',
    ],
    [
      'missing field of a VM',
      changed('    primaryAddress: 192.168.10.30\n', ''),
      'plan.yaml:18:5 vms[0].primaryAddress: is missing; add it',
    ],
    [
      'missing group',
      changed('primarySite:\n  hypervisor: local\n', ''),
      'plan.yaml:1:1 primarySite: is missing; add it',
    ],
    [
      'field without a value',
      changed('region: eu-central-1', 'region:'),
      /^plan\.yaml:5:3 recoverySite\.region: is empty/,
    ],
    [
      'wrong type',
      changed('publicAddress: true', 'publicAddress: yes'),
      'plan.yaml:9:20 recoverySite.production.publicAddress: must be true or false, not "yes"',
    ],
    [
      'wrong name',
      changed('name: web', 'name: Web_1'),
      /^plan\.yaml:23:11 vms\[1\]\.name: must be 1 to 40 lower-case .*, not "Web_1"$/,
    ],
    [
      'wrong choice',
      changed('hypervisor: local', 'hypervisor: vspere'),
      'plan.yaml:3:15 primarySite.hypervisor: must be "local" or "vsphere", not "vspere"; did you mean "vsphere"?',
    ],
    [
      'wrong duration',
      changed('frequency: 15m', 'frequency: often'),
      'plan.yaml:16:14 replication.frequency: must be like 30s, 15m, 4h or 1d, not "often"',
    ],
    [
      'negative duration',
      changed('frequency: 15m', 'frequency: -5'),
      /^plan\.yaml:16:14 replication\.frequency: must be more than 0, not -5$/,
    ],
    [
      'no time at all',
      changed('frequency: 15m', 'frequency: 0s'),
      'plan.yaml:16:14 replication.frequency: must be at least 1s',
    ],
    [
      'an objective of nothing',
      `${GOOD_PLAN}objectives: { rpo: 0s }\n`,
      /objectives\.rpo: must be at least 1s$/,
    ],
    [
      'endless duration',
      changed('frequency: 15m', 'frequency: 99999999d'),
      'plan.yaml:16:14 replication.frequency: must be at most 366d',
    ],
    [
      'wrong address',
      changed('192.168.10.30', '192.168.10.300'),
      'plan.yaml:22:21 vms[0].primaryAddress: must be an IPv4 address like 10.0.1.20, not "192.168.10.300"',
    ],
    [
      'address of a metadata service',
      changed('192.168.10.30', '169.254.169.254'),
      /^plan\.yaml:22:21 vms\[0\]\.primaryAddress: 169\.254\.169\.254 cannot be a VM's address \(it is a link-local/,
    ],
    [
      'no VM',
      `${GOOD_PLAN.slice(0, GOOD_PLAN.indexOf('vms:'))}vms: []\n`,
      'plan.yaml:17:6 vms: needs at least 1 entry',
    ],
    [
      'two VMs of one name',
      changed('name: web', 'name: db'),
      /^plan\.yaml:23:11 vms\[1\]\.name: two VMs are named "db"/,
    ],
    [
      'two host names',
      changed('dependsOn: [db]', 'hostNames: [DB.shop.example.]'),
      /^plan\.yaml:25:17 vms\[1\]\.hostNames\[0\]: the host name "db\.shop\.example" is given twice/,
    ],
    [
      'one private address twice',
      GOOD_PLAN.replaceAll('    primaryAddress', '    privateAddress: 10.0.1.9\n    primaryAddress'),
      /^plan\.yaml:30:21 vms\[1\]\.privateAddress: two VMs want the address 10\.0\.1\.9/,
    ],
    [
      'one primary address twice',
      changed('192.168.10.20', '192.168.10.30'),
      /^plan\.yaml:29:21 vms\[1\]\.primaryAddress: two VMs have/,
    ],
    [
      'record twice',
      `${GOOD_PLAN}    - { name: WWW.shop.example, vm: db }\n`,
      /^plan\.yaml:34:15 dns\.records\[1\]\.name: the record www\.shop\.example is given twice/,
    ],
    [
      'record of an unknown VM',
      changed('vm: web', 'vm: wbe'),
      'plan.yaml:33:37 dns.records[0].vm: there is no VM "wbe" in this plan; did you mean "web"?',
    ],
    [
      'public record without public addresses',
      changed('    publicAddress: true\n', ''),
      /^plan\.yaml:32:51 dns\.records\[0\]\.address: the instances get no public address; set recoverySite/,
    ],
    [
      'one subnet for both',
      changed('subnet-0a11fe00000000002', 'subnet-0a11fe00000000001'),
      /^plan\.yaml:11:13 recoverySite\.test\.subnet: subnet-0a11fe00000000001 is the production subnet, too/,
    ],
    [
      'a subnet twice',
      changed(
        'subnet: subnet-0a11fe00000000001',
        'subnets: [subnet-0a11fe00000000003, subnet-0a11fe00000000003]',
      ),
      /^plan\.yaml:7:41 recoverySite\.production\.subnets\[1\]: subnet-0a11fe00000000003 is in the list already/,
    ],
    [
      'one subnet among those of both',
      changed(
        'subnet: subnet-0a11fe00000000002',
        'subnets: [subnet-0a11fe00000000003, subnet-0a11fe00000000001]',
      ),
      /^plan\.yaml:11:\d+ recoverySite\.test\.subnets\[1\]: subnet-0a11fe00000000001 is the production subnet, too/,
    ],
    [
      'both forms of subnets',
      changed(
        'subnet: subnet-0a11fe00000000002',
        'subnet: subnet-0a11fe00000000002\n    subnets: [subnet-0a11fe00000000003]',
      ),
      /recoverySite\.test: needs exactly one of subnet and subnets/,
    ],
    [
      'launch copies without EBS direct',
      changed('frequency: 15m', 'frequency: 15m\n  copy: volume\n  launchCopy: true'),
      /^plan\.yaml:\d+:\d+ replication\.launchCopy: launch copies are written by EBS direct/,
    ],
    [
      'localhost as a host name',
      changed('[db.shop.example]', '[localhost]'),
      /^plan\.yaml:20:17 .*"localhost" always means/,
    ],
    [
      'two probes',
      changed('{ tcp: 6379 }', '{ tcp: 6379, http: {} }'),
      'plan.yaml:21:16 vms[0].readiness: needs exactly one of tcp, http, https and all (a list of several)',
    ],
    [
      'no probe among several',
      changed('{ tcp: 6379 }', '{ all: [{ tcp: 1 }, {}] }'),
      'plan.yaml:21:36 vms[0].readiness.all[1]: needs exactly one of tcp, http and https',
    ],
    [
      'a probe beside several',
      changed('{ tcp: 6379 }', '{ tcp: 1, all: [{ tcp: 2 }] }'),
      /^plan\.yaml:21:16 vms\[0\]\.readiness: needs exactly one of tcp, http, https and all/,
    ],
    [
      'an empty list of probes',
      changed('{ tcp: 6379 }', '{ all: [] }'),
      'plan.yaml:21:23 vms[0].readiness.all: needs at least 1 entry',
    ],
    [
      'more probes than anybody reads',
      changed('{ tcp: 6379 }', `{ all: [${Array(9).fill('{ tcp: 1 }').join(', ')}] }`),
      'plan.yaml:21:23 vms[0].readiness.all: must have at most 8 entries',
    ],
    [
      'a timeout of one of several probes',
      changed('{ tcp: 6379 }', '{ all: [{ tcp: 1, timeout: 5m }] }'),
      /^plan\.yaml:21:34 vms\[0\]\.readiness\.all\[0\]\.timeout: is not known here/,
    ],
    [
      'a certificate to verify for no name',
      changed('{ tcp: 6379 }', '{ https: { port: 8443 } }'),
      'plan.yaml:21:25 vms[0].readiness.https: needs host, the name that the certificate is for; or "verify: false", to take any certificate',
    ],
    [
      'a URL as a host',
      changed('{ tcp: 6379 }', '{ http: { host: "http://shop.example/" } }'),
      /^plan\.yaml:21:32 vms\[0\]\.readiness\.http\.host: must be a host name like www\.shop\.example/,
    ],
    [
      'a host header that adds another',
      changed('{ tcp: 6379 }', '{ http: { host: "a\\r\\nx: y" } }'),
      /^plan\.yaml:21:32 vms\[0\]\.readiness\.http\.host: must be a host name/,
    ],
    [
      'a path with a blank',
      changed('{ tcp: 6379 }', '{ http: { path: "/a b" } }'),
      /^plan\.yaml:21:32 vms\[0\]\.readiness\.http\.path: must not hold blanks/,
    ],
    [
      'key twice',
      changed('  frequency: 15m', '  frequency: 15m\n  frequency: 5m'),
      /^plan\.yaml:17:3 replication\.frequency: is not valid YAML: Map keys must be unique/,
    ],
    ['broken YAML', changed('[t3.small]', '[t3.small'), /^plan\.yaml:25:\d+ \S.*: is not valid YAML: /],
    [
      'two documents',
      `${GOOD_PLAN}---\nname: b\n`,
      /^plan\.yaml:34:1 .*is not valid YAML: .*multiple documents/i,
    ],
    [
      'a tag',
      changed('name: shop', 'name: !js/function "x"'),
      /^plan\.yaml:1:7 name: is not valid YAML: Unresolved tag/,
    ],
    ['nothing', '', 'plan.yaml:1:1: is empty; a plan begins with "name: …"'],
    ['only text', 'shop', 'plan.yaml:1:1: must be a group of fields, not "shop"'],
    [
      'a key of the language',
      changed('name: shop', 'name: shop\n__proto__: { x: 1 }'),
      /^plan\.yaml:2:1 __proto__: is not known here/,
    ],
    [
      'terminal control in a value',
      changed('name: shop', 'name: "\\e[2J\\u202e"'),
      'plan.yaml:1:7 name: must be 1 to 40 lower-case letters, digits or "-", beginning with a letter, not "\\u001b[2J?"',
    ],
  ];
  it.each(cases)('%s', async (_what, text, message) => {
    const problem = await problemOf(text);
    if (typeof message === 'string') expect(problem).toBe(message);
    else expect(problem).toMatch(message);
    expect(problem).not.toContain('\n');
  });

  it('is one for the line that stands first, whichever check finds it', async () => {
    const text = changed('dependsOn: [db]', 'dependsOn: [nobody]').replace('vm: web', 'vm: nobody');
    expect(await problemOf(text)).toMatch(/^plan\.yaml:25:17 vms\[1\]/);
  });

  it('names the circle in full, however long', async () => {
    const vms = Array.from(
      { length: 300 },
      (_, i) =>
        `  - { name: vm${i}, instanceTypes: [t3.small], dependsOn: [vm${(i + 1) % 300}], readiness: { tcp: 1 }, primaryAddress: 192.168.${10 + (i >> 7)}.${1 + (i & 127)} }\n`,
    );
    const text = `${GOOD_PLAN.slice(0, GOOD_PLAN.indexOf('vms:'))}vms:\n${vms.join('')}`;
    expect(await problemOf(text)).toContain('vm298 → vm299 → vm0,');
  });

  it('an alias bomb', async () => {
    const bomb = Array.from({ length: 12 }, (_, i) =>
      i === 0
        ? 'a0: &a0 [x,x,x,x,x,x,x,x]'
        : `a${i}: &a${i} [${Array(8)
            .fill(`*a${i - 1}`)
            .join(',')}]`,
    );
    expect(await problemOf(bomb.join('\n'))).toMatch(/^plan\.yaml:1:1: its aliases .* cannot be resolved/);
  });

  it('files that are no plan', async () => {
    expect(await problemOf(Buffer.from([0x6e, 0xff, 0xfe]))).toBe(
      'plan.yaml: is not UTF-8 text; save it as UTF-8',
    );
    expect(await problemOf(`# ${'x'.repeat(1024 * 1024)}`)).toMatch(/^plan\.yaml: has 1048578 bytes/);
    await expect(loadPlanFile(path.join(folder.directory, 'no.yaml'))).rejects.toThrow(
      /no\.yaml: there is no such file/,
    );
    await expect(loadPlanFile(folder.directory)).rejects.toThrow(/is not a regular file/);
    const pipe = path.join(folder.directory, 'pipe.yaml');
    execFileSync('mkfifo', [pipe]);
    await expect(loadPlanFile(pipe)).rejects.toThrow(/is not a regular file/);
  });
});

describe('boot scripts', () => {
  const withScript = (name: string) => changed('bootScript: hello.sh', `bootScript: ${name}`);
  const at = 'plan.yaml:28:17 vms[1].bootScript: ';

  it('must be there', async () => {
    expect(await problemOf(withScript('hallo.sh'))).toBe(
      `${at}there is no file "hallo.sh" in the plan's folder; create it or correct the path`,
    );
  });

  it.each(['/etc/passwd', '../hello.sh', 'a/../../x', '.'])(
    'must be inside the plan folder: %s',
    async (name) => {
      expect(await problemOf(withScript(name))).toMatch(/"[^"]+" is outside the plan's folder/);
    },
  );

  it('may not lead out of it by a symbolic link, of the file or of a folder', async () => {
    symlinkSync('/etc/passwd', path.join(folder.directory, 'link.sh'));
    expect(await problemOf(withScript('link.sh'))).toMatch(
      /is a symbolic link that leads out of the plan's folder/,
    );
    symlinkSync('/etc', path.join(folder.directory, 'sub'));
    expect(await problemOf(withScript('sub/passwd'))).toMatch(/is a symbolic link that leads out/);
  });

  it('may be in a folder below, and a link inside', async () => {
    mkdirSync(path.join(folder.directory, 'scripts'));
    writeFileSync(path.join(folder.directory, 'scripts', 'a.sh'), '#!/bin/sh\n');
    symlinkSync('scripts/a.sh', path.join(folder.directory, 'b.sh'));
    writeFileSync(
      folder.file,
      withScript('b.sh').replace(
        '    readiness: { tcp',
        '    bootScript: scripts/a.sh\n    readiness: { tcp',
      ),
    );
    const { plan, scripts } = await loadPlanFile(folder.file);
    expect(plan.vms.map((vm) => vm.bootScript?.name)).toEqual(['a.sh', 'b.sh']);
    expect(scripts).toHaveLength(1);
  });

  it.each([
    [
      'too large',
      '#!/bin/sh\n'.padEnd(64 * 1024 + 1, '#'),
      /has 65537 bytes; a boot script has at most 65536/,
    ],
    ['without an interpreter', 'echo hello\n', /does not begin with an interpreter line/],
    ['with Windows line ends', '#!/bin/sh\r\necho\r\n', /has Windows line ends/],
  ])('%s', async (_what, content, message) => {
    writeFileSync(path.join(folder.directory, 'bad.sh'), content);
    expect(await problemOf(withScript('bad.sh'))).toMatch(message);
  });

  it.each([
    ['hello.sh', {}],
    ['{ file: hello.sh }', {}],
    ['{ file: hello.sh, required: false }', {}],
    ['{ file: hello.sh, timeout: 5m, required: true }', { timeout: 300, required: true }],
  ])('%s is kept by reference, with what differs from a name alone', async (written, more) => {
    writeFileSync(folder.file, withScript(written));
    const { plan, scripts } = await loadPlanFile(folder.file);
    expect(plan.vms[1]?.bootScript).toEqual({ name: 'hello.sh', sha256: scripts[0]?.sha256, ...more });
  });

  it.each([
    ['5', 'vms[1].bootScript: must be text, not 5'],
    ['[hello.sh]', 'vms[1].bootScript: must be text, not a list'],
    ['{ timeout: 5m }', 'vms[1].bootScript.file: is missing; add it'],
    ['{ file: 5 }', 'vms[1].bootScript.file: must be text, not 5'],
    [
      '{ file: hello.sh, timeout: soon }',
      'vms[1].bootScript.timeout: must be like 30s, 15m, 4h or 1d, not "soon"',
    ],
    ['{ file: hello.sh, timeout: 0s }', 'vms[1].bootScript.timeout: must be at least 1s'],
    ['{ file: hello.sh, timeout: 400d }', 'vms[1].bootScript.timeout: must be at most 366d'],
    [
      '{ file: hello.sh, require: true }',
      'vms[1].bootScript.require: is not known here; did you mean "required"?',
    ],
  ])('%s is refused', async (written, message) => {
    expect(await problemOf(withScript(written))).toContain(message);
  });

  it.each(['hello.ps1', 'hello.CMD', 'hello.bat'])(
    'of Windows needs no interpreter line: %s',
    async (name) => {
      writeFileSync(path.join(folder.directory, name), 'echo hello\r\n');
      writeFileSync(folder.file, withScript(name));
      const { scripts } = await loadPlanFile(folder.file);
      expect(scripts[0]?.content.toString()).toBe('echo hello\r\n');
    },
  );
});
