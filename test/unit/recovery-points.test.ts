import { parseInstant } from '../../plan/instant';
import { isTurnedAway, type Lines, linesAfter } from '../../plan/lines';
import { writeManifest } from '../../repository/backups/backups';
import { retire } from '../../repository/backups/retirement';
import { choosePoint, choosePointsAt, NoSuchPointError } from '../../repository/points/choose';
import { readPoints } from '../../repository/points/points';
import { MemoryObjectStore } from '../support/memory-object-store';

const VMS = ['db', 'web'];
const NO_LINES: Lines = {};
/** Hours of 23 November. */
const hour = (n: number, seconds = 0): string =>
  new Date(Date.UTC(2026, 10, 23, n, 0, seconds)).toISOString();
/** The backup that the round of that hour makes, and the run of it in its id. */
const idOf = (n: number, run = n): string =>
  `20261123T${String(n).padStart(2, '0')}0000Z-${String(run).padStart(8, '0')}`;

let store: MemoryObjectStore;
beforeEach(async () => {
  store = new MemoryObjectStore();
  for (const n of [8, 9, 10]) for (const vm of VMS) await backUp(vm, idOf(n), hour(n, vm === 'db' ? 1 : 9));
});

async function backUp(vm: string, backupId: string, takenAt: string): Promise<void> {
  const disk = { key: 'system', sizeBytes: 512 };
  await writeManifest(store, {
    ...{ version: 1, vm, backupId, takenAt, consistency: 'crash' },
    configuration: {
      ...{ cpus: 1, memoryMiB: 512, firmware: 'bios', nics: [], guestOs: 'debian12_64Guest' },
      disks: [{ ...disk, slot: 0, boot: true }],
    },
    disks: [
      {
        ...disk,
        blockMap: `${vm}/backups/${backupId}/system.map`,
        blockMapSha256: 'ab'.repeat(32),
        ...{ dataBlocks: 0, storedBlocks: 0, storedBytes: 0 },
      },
    ],
  });
}

const at = (text: string, lines = NO_LINES, vms = VMS) => choosePointsAt(store, vms, Date.parse(text), lines);
const ids = (points: { recoveryPoint: string }[]): string[] =>
  points.map(({ recoveryPoint }) => recoveryPoint);

describe('a recovery point by its time', () => {
  it('is of each VM the newest backup of that instant or before', async () => {
    expect(await at(hour(9, 30))).toEqual([
      { vm: 'db', recoveryPoint: idOf(9), takenAt: hour(9, 1) },
      { vm: 'web', recoveryPoint: idOf(9), takenAt: hour(9, 9) },
    ]);
    // To the instant: web's of that hour came later.
    expect(ids(await at(hour(9, 1)))).toEqual([idOf(9), idOf(8)]);
    expect(ids(await at(hour(23)))).toEqual([idOf(10), idOf(10)]);
    await retire(store, 'db', idOf(9), 'no retention policy keeps it');
    expect(ids(await at(hour(9, 30)))).toEqual([idOf(8), idOf(9)]);
  });

  it('is refused where a VM has none, with the nearest there is', async () => {
    const refused = at(hour(8, 5), NO_LINES, [...VMS, 'new']);
    await expect(refused).rejects.toThrow(NoSuchPointError);
    await expect(refused).rejects.toThrow(
      `web has no backup of ${hour(8, 5)} or before; its oldest is of ${hour(8, 9)} (${idOf(8)}).\n` +
        `new has no backup of ${hour(8, 5)} or before, nor any other.`,
    );
  });
});

describe('a recovery point by its id', () => {
  it('is that backup, and of the other VMs what the same run made', async () => {
    expect(ids(await choosePoint(store, VMS, idOf(9), NO_LINES))).toEqual([idOf(9), idOf(9)]);
    await backUp('db', idOf(11), hour(11, 1));
    await backUp('web', idOf(12, 11), hour(12, 1));
    expect(ids(await choosePoint(store, VMS, idOf(11), NO_LINES))).toEqual([idOf(11), idOf(12, 11)]);
  });

  it('is of VMs that the run has not backed up the newest of its instant or before', async () => {
    await backUp('db', idOf(11), hour(11, 1));
    expect(ids(await choosePoint(store, VMS, idOf(11), NO_LINES))).toEqual([idOf(11), idOf(10)]);
  });

  it('is refused where no VM has it', async () => {
    await expect(choosePoint(store, VMS, idOf(9).replace('T09', 'T07'), NO_LINES)).rejects.toThrow(
      /^None of the plan's VMs has a backup "20261123T070000Z-00000009"; did you mean 20261123T\d{6}Z-\d{8}\?$/,
    );
    await expect(choosePoint(store, VMS, '../x', NO_LINES)).rejects.toThrow('has a backup "../x"');
  });
});

describe('a line that people have turned away from', () => {
  const lines: Lines = { turnedAway: [{ after: hour(9, 9), until: hour(11) }] };

  it('is passed over, unless one of its backups is named', async () => {
    await backUp('db', idOf(12), hour(12, 1));
    expect(ids(await at(hour(11), lines))).toEqual([idOf(9), idOf(9)]);
    expect(ids(await at(hour(13), lines))).toEqual([idOf(12), idOf(9)]);
    expect(ids(await choosePoint(store, VMS, idOf(10), lines))).toEqual([idOf(10), idOf(10)]);
    const points = await readPoints(store, 'db', lines);
    expect(points.map(({ backupId, turnedAway }) => [backupId, turnedAway])).toEqual([
      [idOf(12), false],
      [idOf(10), true],
      [idOf(9), false],
      [idOf(8), false],
    ]);
    const all: Lines = { turnedAway: [{ after: hour(1), until: hour(14) }] };
    await expect(at(hour(13), all)).rejects.toThrow(
      /db has no backup of .* but those of a line that was turned away from/,
    );
  });

  it('is what was backed up after the chosen points while the application is away', () => {
    const away: Lines = { chosen: { at: hour(9, 30), after: hour(9, 9) } };
    expect(isTurnedAway(away, { backupId: idOf(9), takenAt: hour(9, 9) })).toBe(false);
    expect(isTurnedAway(away, { backupId: idOf(10), takenAt: hour(10, 1) })).toBe(true);
    expect(isTurnedAway(NO_LINES, { backupId: idOf(10), takenAt: hour(10, 1) })).toBe(false);
  });

  it('is not remembered for ever, nor where the application was never brought home', () => {
    const chosen = { at: hour(9, 30), after: hour(9, 9) };
    const now = new Date(hour(20));
    let state: Lines = {};
    for (let n = 0; n < 60; n++)
      state = linesAfter({ ...state, chosen, phase: 'failed-back' }, 'protected', now);
    expect(state.turnedAway).toHaveLength(50);
    expect(linesAfter({ chosen, phase: 'failing-over' }, 'protected', now)).toEqual({});
    expect(linesAfter({ chosen, phase: 'failed-over' }, 'failing-back', now)).toEqual({ chosen });
  });
});

describe('an instant', () => {
  it.each(['2026-11-23T09:15:00Z', '2026-11-23 10:15:00.000+01:00', '2026-11-23T09:15Z'])(
    'is read: %s',
    (text) => {
      expect(parseInstant(text)).toBe(Date.UTC(2026, 10, 23, 9, 15));
    },
  );

  it.each([
    '2026-11-23T09:15:00',
    '2026-11-23',
    '09:15Z',
    'yesterday',
    '2026-02-30T09:15:00Z',
    '2026-13-01T09:15:00Z',
    '2026-11-23T25:15:00Z',
    '',
  ])('without its zone, or that never was, is refused: %s', (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });
});
