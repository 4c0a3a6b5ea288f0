import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { differences } from '../../guest/windows/hive/compare';
import { editHive } from '../../guest/windows/hive/edit';
import { marvin32 } from '../../guest/windows/hive/marvin32';
import { HiveReader } from '../../guest/windows/hive/reader';
import { recoverHive } from '../../guest/windows/hive/replay';
import { dirty, hash, logEntry, makeHive, makeLog, put, type HiveKey } from '../support/hives';

const directory = mkdtempSync(join(tmpdir(), 'lifeboat-test-hive-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A python that has regipy and python-registry, which share no code with ours. */
const python = process.env.LIFEBOAT_PYTHON;
const withPython = python === undefined ? it.skip : it;
/** A directory with real hives (NAME, NAME.LOG1, NAME.LOG2), which may not be given on with this project. */
const realHives = process.env.LIFEBOAT_REAL_HIVES;
const withRealHives = realHives === undefined ? it.skip : it;

const BYTES = 32768;
/** The hive after so many changes: each adds a key and raises a number. */
function state(changes: number, bytes = BYTES): Buffer {
  const root: HiveKey = put({}, 'Select', { Current: 1, Changes: changes });
  for (let change = 0; change <= changes; change++) {
    put(root, `Software\\Key${change}`, { Filler: Buffer.alloc(3000, change), Name: `change ${change}` });
  }
  return makeHive(root, { bytes });
}
const states = [0, 1, 2, 3, 4].map((changes) => state(changes));
const at = (index: number): Buffer => states[index] ?? Buffer.alloc(0);
/** Entry n makes state n of state n - 1. */
const entry = (index: number): Buffer => logEntry(at(index - 1), at(index), index + 10);
const torn = (log: Buffer): Buffer => {
  const copy = Buffer.from(log);
  copy.fill(0xee, copy.length - 100);
  return copy;
};
const changesIn = (hive: Buffer): number | undefined => new HiveReader(hive).dword('Select', 'Changes');

it('computes the hash of an entry that Windows 10 wrote', () => {
  const header = Buffer.from(
    '48764c45001e0000000000000300000000500000010000005d1e700717a84647677287f6afdc37e6',
    'hex',
  );
  expect(marvin32(header.subarray(0, 32))).toBe(header.readBigUInt64LE(32));
});

it('leaves a clean hive as it is, whatever its logs hold', () => {
  const log = makeLog(at(0), 11, [entry(1)]);
  expect(recoverHive(at(0), [log])).toMatchObject({ hive: at(0), applied: 0, leftOut: false });
});

it.each(['.LOG1 first', '.LOG2 first'])('applies both logs in the order of their entries: %s', (order) => {
  const early = makeLog(at(0), 11, [entry(1), entry(2)]);
  const late = makeLog(at(0), 13, [entry(3), entry(4)]);
  const logs = order === '.LOG1 first' ? [early, late] : [late, early];
  const { hive, applied } = recoverHive(dirty(at(0), 12, 11), logs);
  expect(applied).toBe(4);
  expect(hive.subarray(4096).equals(at(4).subarray(4096))).toBe(true);
  expect([hive.readUInt32LE(4), hive.readUInt32LE(8)]).toEqual([15, 15]);
  expect(recoverHive(hive, [])).toMatchObject({ applied: 0 });
});

it('counts on over the end of the sequence numbers', () => {
  const last = 0xffffffff;
  const logs = [
    makeLog(at(0), last, [logEntry(at(0), at(1), last), logEntry(at(1), at(2), 0)]),
    makeLog(at(0), 1, [logEntry(at(2), at(3), 1)]),
  ];
  const { hive, applied } = recoverHive(dirty(at(0), last, last - 1), logs);
  expect([applied, changesIn(hive), hive.readUInt32LE(4)]).toEqual([3, 3, 2]);
});

it('grows the hive as its log says', () => {
  const larger = state(9, 2 * BYTES);
  const log = makeLog(at(0), 11, [logEntry(at(0), larger, 11)]);
  const { hive } = recoverHive(dirty(at(0), 11, 10), [log]);
  expect([hive.length, changesIn(hive)]).toEqual([larger.length, 9]);
});

it('stops at a torn entry, as Windows does, and says where later ones were left out', () => {
  const end = recoverHive(dirty(at(0), 12, 11), [makeLog(at(0), 11, [entry(1), torn(entry(2))])]);
  expect([changesIn(end.hive), end.applied]).toEqual([1, 1]);
  const middle = recoverHive(dirty(at(0), 12, 11), [
    makeLog(at(0), 11, [entry(1), torn(entry(2)), entry(3)]),
  ]);
  expect([changesIn(middle.hive), middle.leftOut]).toEqual([1, true]);
  // Windows must never take the entry that was left out for one that follows.
  expect(middle.hive.readUInt32LE(4)).toBe(14);
});

it('does not go on in a log that does not follow', () => {
  const logs = [makeLog(at(0), 11, [entry(1)]), makeLog(at(0), 14, [entry(4)])];
  const { hive, leftOut } = recoverHive(dirty(at(0), 12, 11), logs);
  expect([changesIn(hive), leftOut]).toEqual([1, true]);
});

it('takes the header out of the latest log where the hive has none', () => {
  const broken = Buffer.from(at(2));
  broken.fill(0, 0, 512);
  const logs = [makeLog(at(0), 11, [entry(1)]), makeLog(at(2), 13, [entry(3)])];
  expect(changesIn(recoverHive(broken, logs).hive)).toBe(3);
});

it.each<[string, Buffer[]]>([
  ['no log', []],
  ['an empty log', [Buffer.alloc(0)]],
  ['a log that is older than the hive', [makeLog(at(0), 5, [logEntry(at(0), at(1), 5)])]],
  ['a log whose first entry is torn', [makeLog(at(0), 11, [torn(entry(1))])]],
  ['a log with a wrong header', [makeLog(at(0), 11, [entry(1)]).fill(9, 100, 104)]],
])('refuses a hive that was being written with %s', (_, logs) => {
  expect(() => recoverHive(dirty(at(0), 12, 11), logs)).toThrow(/hold nothing that completes it/);
});

it('refuses what it does not understand', () => {
  const hive = dirty(at(0), 12, 11);
  expect(() => recoverHive(hive, [makeLog(at(0), 11, [], 1)])).toThrow(/dirty vector/);
  expect(() => recoverHive(at(0).subarray(0, 5000), [])).toThrow(/cut off|shorter/);
  const outside = entry(1);
  outside.writeUInt32LE(0x7ffff000, 40);
  expect(() => recoverHive(hive, [makeLog(at(0), 11, [hash(outside)])])).toThrow(/outside of the hive/);
  const huge = entry(1);
  huge.writeUInt32LE(0xfffff000, 16);
  expect(() => recoverHive(hive, [makeLog(at(0), 11, [hash(huge)])])).toThrow(/larger than is believed/);
  const countless = entry(1);
  countless.writeUInt32LE(0xffffffff, 20);
  expect(() => recoverHive(hive, [makeLog(at(0), 11, [hash(countless)])])).toThrow(
    /more pages than it holds/,
  );
});

it('ends on keys that contain themselves, and on lists that are shared without an end', () => {
  const root: HiveKey = {};
  for (let index = 0; index < 50; index++) put(root, `Key${index}\\Below`);
  const hive = makeHive(root);
  const bins = hive.subarray(4096);
  const list = bins.readUInt32LE(hive.readUInt32LE(36) + 4 + 28);
  // Every key's list of subkeys is the root's.
  for (let index = 0; index < 50; index++) {
    const key = bins.readUInt32LE(list + 4 + 4 + 8 * index);
    bins.writeUInt32LE(50, key + 4 + 20);
    bins.writeUInt32LE(list, key + 4 + 28);
  }
  const began = performance.now();
  expect(() => differences(new HiveReader(hive), new HiveReader(hive))).toThrow(/more than fit/);
  expect(performance.now() - began).toBeLessThan(20_000);
});

it('edits a hive by hivexregedit, and sees that nothing else was changed', async () => {
  const hive = at(4);
  const value = { name: 'Start', type: 4, data: Buffer.from([0, 0, 0, 0]) };
  const edited = await editHive(hive, [
    { kind: 'remove key', key: 'Software\\Key1' },
    { kind: 'set', key: 'New\\Deep\\Key', value },
    { kind: 'remove value', key: 'Software\\Key2', name: 'Name' },
  ]);
  const found = differences(new HiveReader(hive), new HiveReader(edited));
  expect(found).toHaveLength(3);
  expect(new HiveReader(edited).dword('New\\Deep\\Key', 'Start')).toBe(0);
  await expect(editHive(hive, [{ kind: 'set', key: 'a"]\n[b', value }])).rejects.toThrow(/no key to edit/);
});

withPython('agrees with regipy and python-registry on what a hive holds after its logs', () => {
  const path = join(directory, 'SYSTEM');
  const recovered = recoverHive(dirty(at(0), 12, 11), [makeLog(at(0), 11, [entry(1), entry(2)])]).hive;
  writeFileSync(path, recovered);
  writeFileSync(`${path}.dirty`, dirty(at(0), 12, 11));
  writeFileSync(`${path}.LOG1`, makeLog(at(0), 11, [entry(1), entry(2)]));
  const script = [
    'import sys, json',
    'from Registry import Registry',
    'from regipy.registry import RegistryHive',
    'from regipy.recovery import apply_transaction_logs',
    'p = sys.argv[1]',
    'apply_transaction_logs(p + ".dirty", p + ".LOG1", restored_hive_path=p + ".regipy")',
    'def one(f): return [[k.name(), sorted(v.name() + str(v.value()) for v in k.values())] for k in Registry.Registry(f).open("Software").subkeys()]',
    'def other(f): return [[k.name, sorted(v.name for v in k.iter_values())] for k in RegistryHive(f).get_key("Software").iter_subkeys()]',
    'print(json.dumps([one(p), one(p + ".regipy"), other(p)]))',
  ].join('\n');
  const [ours, theirs, regipy] = JSON.parse(
    execFileSync(python ?? '', ['-c', script, path], { encoding: 'utf8' }),
  ) as [string, string[]][][];
  expect(ours).toHaveLength(3);
  expect(ours).toEqual(theirs);
  expect(regipy?.map(([name]) => name)).toEqual(['Key0', 'Key1', 'Key2']);
});

withRealHives(
  'replays or refuses real hives, and agrees with hivex on the result',
  async () => {
    const names = readdirSync(realHives ?? '').filter((name) => !/\.(log\d?|xz)$/i.test(name));
    const outcomes: string[] = [];
    for (const name of names) {
      const path = join(realHives ?? '', name);
      const logs = ['.LOG1', '.LOG2'].map((extension) => path + extension).filter(existsSync);
      try {
        const { hive, applied } = recoverHive(
          readFileSync(path),
          logs.map((log) => readFileSync(log)),
        );
        const value = { name: 'Lifeboat', type: 4, data: Buffer.from([1, 0, 0, 0]) };
        const edited = await editHive(hive, [{ kind: 'set', key: 'LifeboatTest', value }]);
        expect(new HiveReader(edited).dword('LifeboatTest', 'Lifeboat')).toBe(1);
        outcomes.push(`${name}: ${applied}`);
      } catch (error) {
        expect((error as Error).name).toBe('HiveError');
        outcomes.push(`${name}: ${(error as Error).message}`);
      }
    }
    expect(outcomes.length).toBeGreaterThan(0);
  },
  300_000,
);
