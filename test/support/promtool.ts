import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** Prometheus' checker: PROMTOOL, else the one that set-up unpacked (setup/promtool.mjs). */
const PROMTOOL = process.env.PROMTOOL ?? resolve('.lifeboat/tools/prometheus/promtool');

/** Tests by promtool: skipped, and counted so, where it is not there. */
export const itWithPromtool = existsSync(PROMTOOL) ? it : it.skip;

/** @returns exit code, and all that it printed */
export function promtool(args: string[], input?: string): { code: number | null; text: string } {
  const { status, stdout, stderr, error } = spawnSync(PROMTOOL, args, { encoding: 'utf8', input });
  if (error !== undefined) throw error;
  return { code: status, text: stdout + stderr };
}

/** Metrics of a scrape, as text, whose names begin so. */
export function familiesOf(scrape: string, prefix: string): string {
  const own = scrape.split('\n').filter((line) => line.replace(/^# (HELP|TYPE) /, '').startsWith(prefix));
  return `${own.join('\n')}\n`;
}

/** The series of a scrape with their values. */
export function seriesOf(scrape: string): Map<string, number> {
  return new Map(
    [...scrape.matchAll(/^([a-z]\S*?(?:\{.*\})?) (\S+)$/gm)].map(([, series = '', value]) => [
      series,
      Number(value),
    ]),
  );
}
