import { measured } from '../../plan/objectives';
import { planDiff } from '../../plan/diff';
import { proposeTypes } from '../../plan/propose-types';
import { testStanding } from '../../plan/readiness';
import { changedSince, guestFactsOf, type Tested } from '../../plan/tested';
import { INSTANCE_TYPES } from '../../sandbox/aws/ec2/instances/instance-type-table';
import { plainPlan } from '../support/e2e-plan';

describe('whether a test still holds', () => {
  const db = guestFactsOf({
    configuration: {
      ...{ guestOs: 'debian12_64Guest', firmware: 'bios' },
      disks: [
        { key: 'system', boot: true },
        { key: 'data', boot: false },
      ],
    },
    guest: { family: 'Debian', kernels: ['6.1.0-18'] },
  });
  const tested: Tested = { digest: 'a', guests: { db }, awsProxy: '0.1.0' };
  const now = (guest: Partial<typeof db>): Tested => ({ ...tested, guests: { db: { ...db, ...guest } } });

  it('does, while nothing has changed; and nothing that is not known speaks against it', () => {
    expect(changedSince(tested, tested)).toEqual([]);
    expect(changedSince({ digest: 'a' }, tested)).toEqual([]);
    expect(changedSince(tested, { digest: 'a' })).toEqual([]);
    const { family: _, kernels: __, ...untried } = db;
    expect(changedSince(tested, { ...tested, guests: { db: untried } })).toEqual([]);
  });

  it.each([
    ['the plan', { ...tested, digest: 'b' }, 'the plan was changed'],
    ['the firmware', now({ firmware: 'uefi' }), 'the guest of db was changed: firmware bios is uefi now'],
    ['the system', now({ guestOs: 'x' }), 'the guest of db was changed: system debian12_64Guest is x now'],
    [
      'a disk',
      now({ disks: ['system*'] }),
      'the guest of db was changed: disks system*, data is system* now',
    ],
    [
      'the disk that it boots from',
      now({ disks: ['system', 'data*'] }),
      'the guest of db was changed: disks system*, data is system, data* now',
    ],
    [
      'the kernel',
      now({ kernels: ['6.12.1'] }),
      'the guest of db was changed: kernels 6.1.0-18 is 6.12.1 now',
    ],
    [
      'the AWS proxy',
      { ...tested, awsProxy: '0.2.0' },
      'the AWS proxy was changed from version 0.1.0 to 0.2.0',
    ],
  ])('does not, when %s has changed', (_, present, change) => {
    expect(changedSince(tested, present)).toEqual([change]);
    const lastTest = { ...tested, runId: 'r', testedAt: '2026-11-30T10:00:00.000Z', rtoSeconds: 1 };
    expect(testStanding(lastTest, present)).toEqual({ tested: 'no', changed: [change] });
    expect(testStanding(lastTest, tested).tested).toBe('yes');
    expect(testStanding(undefined, tested).tested).toBe('never');
  });
});

describe('what changed in a plan', () => {
  it('is told by VM and field, and nothing of what is the same', () => {
    const before = plainPlan('shop', ['db', 'web']);
    const after = structuredClone(before);
    expect(planDiff(before, after)).toEqual([]);
    // Another order of the same VMs boots them the same.
    expect(planDiff(before, { ...after, vms: after.vms.toReversed() })).toEqual([]);
    after.vms[0]!.instanceTypes = ['m6i.xlarge'];
    after.recoverySite.kmsKey = 'key';
    after.vms[1]!.name = 'web-2';
    expect(planDiff(before, after)).toEqual([
      { path: 'recoverySite.kmsKey', after: 'key' },
      { path: 'vms.db.instanceTypes', before: before.vms[0]!.instanceTypes, after: ['m6i.xlarge'] },
      { path: 'vms.web', before: expect.objectContaining({ dependsOn: [] }) as object },
      { path: 'vms.web-2', after: expect.objectContaining({ dependsOn: [] }) as object },
    ]);
  });

  it('knows records of one name by their identifiers', () => {
    const before = plainPlan('shop', ['db']);
    const record = { name: 'www.shop.example', vm: 'db', address: 'public' as const, ttl: 60 };
    const records = [
      { ...record, setIdentifier: 'one' },
      { ...record, setIdentifier: 'two' },
    ];
    before.dns = { hostedZone: 'Z1', records };
    const after = {
      ...before,
      dns: { hostedZone: 'Z1', records: [records[0]!, { ...records[1]!, ttl: 30 }] },
    };
    expect(planDiff(before, after)).toEqual([
      { path: 'dns.records.www.shop.example (two).ttl', before: 60, after: 30 },
    ]);
  });
});

describe('instance types for a VM', () => {
  const offered = [...INSTANCE_TYPES.values()];
  it.each([
    [{ cpus: 2, memoryMiB: 1024 }, ['c6i.large', 'm7i.large', 'm6i.large']],
    [{ cpus: 2, memoryMiB: 6 * 1024 }, ['m7i.large', 'm6i.large', 'm5.large']],
    [{ cpus: 1, memoryMiB: 16 * 1024 }, ['r6i.large', 'm7i.xlarge', 'm6i.xlarge']],
    [{ cpus: 5, memoryMiB: 8 * 1024 }, ['c6i.2xlarge', 'm7i.2xlarge', 'm6i.2xlarge']],
    [{ cpus: 500, memoryMiB: 1024 }, []],
  ])('of %j are the smallest that it fits, of several families', (size, proposed) => {
    expect(proposeTypes(size, offered)).toEqual(proposed);
  });
});

it('objectives are met up to the second, and those that are not there are not told', () => {
  const came = { rpoSeconds: 60, rtoSeconds: 600 };
  expect(measured(undefined, came)).toBeUndefined();
  expect(measured({}, came)).toBeUndefined();
  expect(measured({ rpo: 60 }, came)).toEqual({ rpo: { objective: 60, measured: 60, met: true } });
  expect(measured({ rpo: 59, rto: 900 }, came)).toEqual({
    rpo: { objective: 59, measured: 60, met: false },
    rto: { objective: 900, measured: 600, met: true },
  });
});
