import { z } from 'zod';

/** A span of time as a person writes it, such as `15m`, or in seconds; in seconds afterwards. */
export const duration = z
  .union([z.number().int().positive(), z.string().regex(/^\d+(s|m|h|d)$/, 'must be like 30s, 15m, 4h or 1d')])
  .transform((value) => (typeof value === 'number' ? value : durationSeconds(value)));

/** Seconds in a duration such as `15m`. */
export function durationSeconds(text: string): number {
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[text.slice(-1)];
  if (unit === undefined) throw new Error(`"${text}" is not a duration like 30s, 15m, 4h or 1d`);
  return Number(text.slice(0, -1)) * unit;
}
