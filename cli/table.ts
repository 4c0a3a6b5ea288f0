import Table from 'cli-table3';
import { printable } from '../plan/printable';

/** A table for a terminal, ending with a line break. Cells may hold text of any origin. */
export function tableText(head: string[], rows: string[][]): string {
  // Without colours: the same text in a terminal, a pipe and a log.
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  table.push(...rows.map((row) => row.map(printable)));
  return `${table.toString()}\n`;
}
