import { type GuestRehearsal } from '../repository/backups/manifest';

/** What is to be told of a VM's guest, a line each; nothing where nothing is. */
export function guestText(vm: string, guest: GuestRehearsal | undefined): string {
  if (guest === undefined) return '';
  const { outcome, problem, warnings } = guest;
  const lines = warnings.map((warning) => `${vm}: ${warning}`);
  if (outcome === 'not adaptable') lines.unshift(`${vm} is not ready, EC2 cannot boot it: ${problem}`);
  if (outcome === 'unknown') lines.unshift(`${vm}: whether EC2 can boot it could not be tried: ${problem}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** What is to be told of a VM's backup, a line each. */
export const notesText = (vm: string, notes: readonly string[] = []): string =>
  notes.map((note) => `${vm}: ${note}\n`).join('');

/** Warnings of a run's VMs, a line each. */
export const warningsText = (vms: readonly { vm: string; warnings: readonly string[] }[]): string =>
  vms.flatMap(({ vm, warnings }) => warnings.map((warning) => `${vm}: ${warning}\n`)).join('');
