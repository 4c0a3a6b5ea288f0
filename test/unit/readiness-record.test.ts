import { keepCheck, noteTest } from '../../activities/control/readiness';
import { lifeboatVersion } from '../../host/version';
import { type Finding } from '../../plan/readiness';
import { changeReadiness, readReadiness } from '../../repository/plans/readiness-record';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { MemoryObjectStore } from '../support/memory-object-store';
import { RUN } from '../support/run-context';

const KEY = 'checks/shop.json';
const at = (minute: number): string => `2026-11-30T10:${String(minute).padStart(2, '0')}:00.000Z`;
const old: Finding = {
  code: 'dr-copy-age',
  severity: 'warning',
  vm: 'db',
  text: 'It is old.',
  todo: 'Look.',
};
const full: Finding = {
  code: 'vcpu-quota',
  severity: 'impossible',
  text: '30 of 32 are in use.',
  todo: 'Ask for more.',
  about: 'L-1216C47A',
};

describe('what is kept of checks and tests', () => {
  let store: MemoryObjectStore;
  beforeEach(() => {
    store = new MemoryObjectStore();
  });
  const keep = (minute: number, findings: Finding[], more: { rto?: number; runId?: string } = {}) =>
    keepCheck(store, {
      run: { ...RUN, runId: more.runId ?? RUN.runId },
      checkedAt: at(minute),
      findings,
      recoveryPoints: {},
      proxies: {},
      ...(more.rto === undefined ? {} : { rto: more.rto }),
    });
  const test = (minute: number, rtoSeconds: number) =>
    noteTest(store, { run: RUN, testedAt: at(minute), rtoSeconds });

  it('carries over since when something is found, also where its numbers change, and the worst comes first', async () => {
    await keep(0, [old, full]);
    const kept = await keep(30, [old, { ...full, text: '31 of 32 are in use.' }]);
    expect(kept).toMatchObject({
      verdict: 'not ready',
      findings: [
        { text: '31 of 32 are in use.', since: at(0) },
        { text: 'It is old.', since: at(0) },
      ],
    });
    // It was mended, and came back.
    await keep(31, []);
    expect((await keep(32, [old])).findings).toMatchObject([{ since: at(32) }]);
    // Another VM's is another.
    expect((await keep(33, [{ ...old, vm: 'web' }])).findings).toMatchObject([{ since: at(33) }]);
  });

  it('has a verdict by the worst finding', async () => {
    expect((await keep(0, [])).verdict).toBe('ready');
    expect((await keep(1, [old])).verdict).toBe('ready with warnings');
    expect((await keep(2, [old, full])).verdict).toBe('not ready');
  });

  it('keeps the newer check when an older one comes late, and writes nothing twice', async () => {
    await keep(30, [], { runId: 'newer' });
    const before = store.objects.get(KEY)?.toString();
    expect((await keep(0, [full], { runId: 'older' })).verdict).toBe('not ready');
    expect(store.objects.get(KEY)?.toString()).toBe(before);
    store.beforePut = () => {
      throw new Error('There is nothing to write.');
    };
    await keep(30, [], { runId: 'newer' });
  });

  it('loses neither check nor test when both come at one time', async () => {
    let once = true;
    store.beforePut = async () => {
      if (!once) return;
      once = false;
      await test(1, 100);
    };
    await keep(0, [old]);
    expect(await readReadiness(store, 'shop')).toMatchObject({
      check: { verdict: 'ready with warnings' },
      lastTest: { testedAt: at(1), digest: RUN.digest },
    });
    await test(0, 50);
    expect((await readReadiness(store, 'shop'))?.lastTest).toMatchObject({
      testedAt: at(1),
      rtoSeconds: 100,
    });
  });

  it("finds an objective that the last test of this version missed, and not another version's", async () => {
    await test(0, 700);
    expect((await keep(1, [], { rto: 900 })).findings).toEqual([]);
    expect((await keep(2, [], { rto: 600 })).findings).toMatchObject([
      { code: 'rto', severity: 'warning', text: expect.stringContaining('11 min 40 s') as string },
    ]);
    await noteTest(store, { run: { ...RUN, digest: '1'.repeat(64) }, testedAt: at(3), rtoSeconds: 700 });
    expect((await keep(4, [], { rto: 600 })).findings).toEqual([]);
  });

  it('tells whether the last test holds for the guests and the AWS proxy of today', async () => {
    const guest = { guestOs: 'debian12_64Guest', firmware: 'bios', disks: ['system*'] };
    const check = (minute: number, kernels: string[], version = lifeboatVersion()) =>
      keepCheck(store, {
        ...{ run: RUN, checkedAt: at(minute), findings: [], recoveryPoints: {} },
        proxies: { aws: { worker: 'aws-proxy@here:1', version } },
        guests: { db: { ...guest, kernels } },
      });
    expect((await check(0, ['6.1'])).test).toEqual({ tested: 'never', changed: [] });
    await changeReadiness(store, 'shop', (record) => ({
      ...record,
      lastTest: {
        ...{ digest: RUN.digest, runId: 'test', testedAt: at(1), rtoSeconds: 1 },
        ...{ awsProxy: lifeboatVersion(), guests: { db: { ...guest, kernels: ['6.1'] } } },
      },
    }));
    expect((await check(2, ['6.1'])).test).toEqual({ tested: 'yes', changed: [] });
    expect((await check(3, ['6.12'])).test).toEqual({
      ...{ tested: 'no', changed: ['the guest of db was changed: kernels 6.1 is 6.12 now'] },
    });
    expect((await check(4, ['6.1'], '0.0.9')).test).toMatchObject({
      changed: [`the AWS proxy was changed from version ${lifeboatVersion()} to 0.0.9`],
    });
    expect((await readReadiness(store, 'shop'))?.check?.test?.tested).toBe('no');
  });

  it('finds proxies of another version', async () => {
    const check = (version: string) =>
      keepCheck(store, {
        ...{ run: RUN, checkedAt: at(0), findings: [], recoveryPoints: {} },
        proxies: { aws: { worker: 'aws-proxy@here:1', version } },
      });
    expect((await check(lifeboatVersion())).findings).toEqual([]);
    expect((await check('0.0.9')).findings).toMatchObject([{ code: 'version', severity: 'warning' }]);
  });

  it('does not believe a damaged record, and makes it anew', async () => {
    for (const damaged of ['{', '{"plan":"other"}', '{"plan":"shop","check":{"verdict":"fine"}}']) {
      store.objects.set(KEY, Buffer.from(damaged));
      await expect(readReadiness(store, 'shop')).rejects.toBeInstanceOf(DamagedObjectError);
      await keep(0, [old]);
      expect((await readReadiness(store, 'shop'))?.check).toMatchObject({ findings: [{ since: at(0) }] });
    }
    expect(await readReadiness(store, 'unknown')).toBeUndefined();
  });
});
