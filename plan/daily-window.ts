/**
 * Hours of the day, such as "22:00-06:00", by the clock of a time zone. A window that begins in the evening ends the next
 * morning. It goes by what the clock on the wall says: an hour that the clock leaves out in spring is missing from it, and one
 * that comes twice in autumn counts twice.
 */
export interface DailyWindow {
  /** Such as "22:00-06:00"; "24:00" is midnight as an end. */
  between: string;
  /** Of the IANA database, such as "Europe/Berlin". */
  timeZone: string;
}

const MINUTE_MS = 60_000;
const MINUTES_A_DAY = 24 * 60;
/** The clock says every time of day again within a day and an hour, or, where it was left out, a day later. */
const SEARCHED_MINUTES = 50 * 60;

/** Of {@link DailyWindow.between}. */
export const WINDOW = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/;

/** Begin and end in minutes since midnight; undefined where the text is none, or begins when it ends. */
export function windowMinutes(between: string): { from: number; to: number } | undefined {
  const [matched, hour, minute, toHour, toMinute] = WINDOW.exec(between) ?? [];
  if (matched === undefined) return undefined;
  const from = 60 * Number(hour) + Number(minute);
  const to = toHour === undefined ? MINUTES_A_DAY : 60 * Number(toHour) + Number(toMinute);
  return to === from || to - from === MINUTES_A_DAY ? undefined : { from, to };
}

/** @throws RangeError where the time zone is not known; the plan's schema has seen to both */
export function isOpen(window: DailyWindow, at: Date): boolean {
  const minutes = windowMinutes(window.between);
  if (minutes === undefined) throw new RangeError(`"${window.between}" is no window.`);
  const { from, to } = minutes;
  const now = minuteOfDay(window.timeZone, at);
  return from < to ? from <= now && now < to : from <= now || now < to;
}

/**
 * The first whole minute after an instant at which the window opens, where it is closed, or closes.
 * @returns undefined where it does neither within two days: it lies in hours that the clock leaves out
 */
export function nextChange(window: DailyWindow, at: Date): Date | undefined {
  const before = isOpen(window, at);
  const first = Math.floor(at.getTime() / MINUTE_MS) + 1;
  for (let minute = first; minute < first + SEARCHED_MINUTES; minute++) {
    const then = new Date(minute * MINUTE_MS);
    if (isOpen(window, then) !== before) return then;
  }
  return undefined;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function minuteOfDay(timeZone: string, at: Date): number {
  let clock = clocks.get(timeZone);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat('en', { timeZone, hour: 'numeric', minute: 'numeric', hourCycle: 'h23' });
    clocks.set(timeZone, clock);
  }
  const parts = clock.formatToParts(at);
  const numberOf = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
  return 60 * numberOf('hour') + numberOf('minute');
}

export function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    // A RangeError: there is none of that name.
    return false;
  }
}

/** For people: such as "22:00-06:00 (Europe/Berlin)". */
export const windowText = ({ between, timeZone }: DailyWindow): string => `${between} (${timeZone})`;
