const FORM = /^(\d{4})-(\d{2})-(\d{2})[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/** How an instant is written, for whoever wrote it otherwise. */
export const INSTANT_FORM =
  'a date, a time and its zone, like 2026-11-30T09:15:00Z or 2026-11-30T10:15:00+01:00';

/**
 * Milliseconds since 1970 of an instant in ISO 8601. It must name its zone: whoever looks for the hour before an attack may not
 * miss it by the offset of some machine's clock.
 * @returns undefined where the text is no such instant
 */
export function parseInstant(text: string): number | undefined {
  const [, year, month, day] = FORM.exec(text) ?? [];
  if (year === undefined) return undefined;
  // Date would take 30 February for 2 March.
  const last = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  const at = Date.parse(text.replace(' ', 'T'));
  return Number.isNaN(at) || Number(day) > last ? undefined : at;
}
