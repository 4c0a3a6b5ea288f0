import { isOpen, nextChange } from '../../plan/daily-window';
import { bytesPerSecondAt, closedWindow, replicationLimit } from '../../plan/replication-limit';

const BERLIN = 'Europe/Berlin';
const at = (text: string): Date => new Date(text);
const nights = { between: '22:00-06:00', timeZone: BERLIN };

describe('a daily window', () => {
  it.each([
    ['22:00-06:00', '2026-01-15T20:59:59Z', false],
    ['22:00-06:00', '2026-01-15T21:00:00Z', true],
    ['22:00-06:00', '2026-01-15T23:30:00Z', true],
    ['22:00-06:00', '2026-01-16T04:59:59Z', true],
    ['22:00-06:00', '2026-01-16T05:00:00Z', false],
    // The same in summer, when it is two hours from UTC.
    ['22:00-06:00', '2026-07-15T19:59:59Z', false],
    ['22:00-06:00', '2026-07-15T20:00:00Z', true],
    ['09:00-17:30', '2026-01-15T16:29:59Z', true],
    ['09:00-17:30', '2026-01-15T16:30:00Z', false],
    ['18:00-24:00', '2026-01-15T22:59:59Z', true],
    ['18:00-24:00', '2026-01-15T23:00:00Z', false],
    ['00:00-06:00', '2026-01-15T23:00:00Z', true],
  ])('%s in Berlin, at %s: open is %s', (between, time, open) => {
    expect(isOpen({ between, timeZone: BERLIN }, at(time))).toBe(open);
  });

  it('knows when it opens and closes, over midnight and over changes of the clock', () => {
    expect(nextChange(nights, at('2026-01-15T12:00:30Z'))).toEqual(at('2026-01-15T21:00:00Z'));
    expect(nextChange(nights, at('2026-01-15T21:00:00Z'))).toEqual(at('2026-01-16T05:00:00Z'));
    // On 29 March the clock goes from 2 to 3: the night has seven hours. On 25 October it goes from 3 to 2: nine.
    expect(nextChange(nights, at('2026-03-28T21:00:00Z'))).toEqual(at('2026-03-29T04:00:00Z'));
    expect(nextChange(nights, at('2026-10-24T20:00:00Z'))).toEqual(at('2026-10-25T05:00:00Z'));
    // An hour that the clock leaves out: the next one is a day later. One that comes twice is open twice.
    const early = { between: '02:00-03:00', timeZone: BERLIN };
    expect(nextChange(early, at('2026-03-28T12:00:00Z'))).toEqual(at('2026-03-30T00:00:00Z'));
    expect(nextChange(early, at('2026-10-25T00:00:00Z'))).toEqual(at('2026-10-25T02:00:00Z'));
    // Zones that are not whole hours from UTC.
    const kathmandu = { between: '22:00-06:00', timeZone: 'Asia/Kathmandu' };
    expect(nextChange(kathmandu, at('2026-01-15T12:00:00Z'))).toEqual(at('2026-01-15T16:15:00Z'));
  });
});

describe('replication.limit', () => {
  const parse = (limit: object) => replicationLimit.parse(limit);

  it('is of UTC where it does not say of where', () => {
    expect(parse({ mbitPerSecond: 200, between: '22:00-06:00' })).toEqual({
      mbitPerSecond: 200,
      between: '22:00-06:00',
      timeZone: 'UTC',
    });
  });

  it.each([
    [{}, 'needs mbitPerSecond, between or both'],
    [{ mbitPerSecond: 0 }, 'Too small'],
    [{ mbitPerSecond: 5, mbitPerSecondOutside: 5 }, 'outside of what?'],
    [{ between: '22-6' }, 'must be two different times of day like 22:00-06:00'],
    [{ between: '22:00-22:00' }, 'must be two different times of day'],
    [{ between: '00:00-24:00' }, 'must be two different times of day'],
    [{ between: '24:00-06:00' }, 'must be two different times of day'],
    [{ between: '22:00-25:00' }, 'must be two different times of day'],
    [{ between: '22:00-06:00', timeZone: 'Berlin' }, 'must be a time zone of the IANA database'],
    [{ mbitPerSeconds: 5 }, 'Unrecognized key'],
  ])('refuses %j', (limit, message) => {
    expect(replicationLimit.safeParse(limit).error?.issues[0]?.message).toContain(message);
  });

  it('is another one outside of the window, where it says so', () => {
    const [night, day] = [at('2026-01-15T23:00:00Z'), at('2026-01-15T12:00:00Z')];
    const of = (limit: object) => [night, day].map((time) => bytesPerSecondAt(parse(limit), time));
    expect(bytesPerSecondAt(undefined, day)).toBe(Infinity);
    expect(of({ mbitPerSecond: 80 })).toEqual([10_000_000, 10_000_000]);
    expect(of({ ...nights, mbitPerSecond: 80 })).toEqual([10_000_000, 10_000_000]);
    expect(of({ ...nights, mbitPerSecond: 80, mbitPerSecondOutside: 8 })).toEqual([10_000_000, 1_000_000]);
    expect(of({ ...nights, mbitPerSecondOutside: 8 })).toEqual([Infinity, 1_000_000]);
    expect(of(nights)).toEqual([Infinity, Infinity]);
  });

  it('tells when scheduled backups may begin', () => {
    expect(closedWindow(parse({ mbitPerSecond: 80 }), at('2026-01-15T12:00:00Z'))).toBeUndefined();
    expect(closedWindow(parse(nights), at('2026-01-15T23:00:00Z'))).toBeUndefined();
    expect(closedWindow(parse(nights), at('2026-01-15T12:00:00Z'))).toEqual({
      ...nights,
      opensAt: '2026-01-15T21:00:00.000Z',
    });
  });
});
