import fc from 'fast-check';
import { HiveError } from '../../guest/windows/hive/base-block';
import { differences } from '../../guest/windows/hive/compare';
import { HiveReader } from '../../guest/windows/hive/reader';
import { recoverHive } from '../../guest/windows/hive/replay';
import { dirty, hash, logEntry, makeHive, makeLog, put, type HiveKey } from '../support/hives';
import { damage, damaged, inputs, inputsMs } from './inputs';

/** Longest that one hive of a few pages may keep a proxy busy, on a busy machine. */
const LONGEST_MS = 10_000;

function hiveOf(change: number): Buffer {
  const root: HiveKey = put({}, 'Select', { Current: 1, Default: change });
  for (let key = 0; key < 20; key++) {
    put(root, `ControlSet001\\Services\\Driver${key}\\Parameters`, {
      Start: key,
      Name: 'x'.repeat(100 * change),
    });
  }
  return makeHive(root, { bytes: 65536 });
}
const before = hiveOf(1);
const after = hiveOf(2);
const entry = logEntry(before, after, 11);
const log = makeLog(before, 11, [entry]);

/** Recovered and readable to its last key, or refused in words; and soon. */
function judge(primary: Buffer, logs: Buffer[]): void {
  const began = performance.now();
  try {
    const { hive } = recoverHive(primary, logs);
    const reader = new HiveReader(hive);
    differences(reader, new HiveReader(before));
  } catch (error) {
    expect(error).toBeInstanceOf(HiveError);
  }
  expect(performance.now() - began).toBeLessThan(LONGEST_MS);
}

it(
  'reads damaged hives, or refuses them',
  () => {
    fc.assert(
      fc.property(damage, fc.boolean(), (how, clean) => {
        judge(damaged(clean ? after : dirty(before, 12, 11), how), [log]);
      }),
      inputs(),
    );
  },
  inputsMs(),
);

it(
  'applies damaged logs, or refuses them',
  () => {
    fc.assert(
      fc.property(damage, (how) => judge(dirty(before, 12, 11), [damaged(log, how)])),
      inputs(),
    );
  },
  inputsMs(),
);

it(
  'applies entries that lie, with hashes that are right, or refuses them',
  () => {
    const word = fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 1, 4096, 65536, 0x7fffffff, 0xffffffff));
    fc.assert(
      fc.property(fc.constantFrom(8, 16, 20, 40, 44, 48, 52), word, (at, value) => {
        const lying = Buffer.from(entry);
        lying.writeUInt32LE(value >>> 0, at);
        judge(dirty(before, 12, 11), [makeLog(before, 11, [hash(lying)])]);
      }),
      inputs(),
    );
  },
  inputsMs(),
);

it(
  'reads cells that lie, or refuses them',
  () => {
    fc.assert(
      fc.property(fc.nat(after.length / 4 - 1), fc.nat(0xffffffff), (index, value) => {
        const lying = Buffer.from(after);
        lying.writeUInt32LE(value, Math.max(512, index * 4));
        judge(lying, []);
      }),
      inputs(),
    );
  },
  inputsMs(),
);
