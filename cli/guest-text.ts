import { type GuestRehearsal } from '../repository/backups/manifest';
import { rehearsalFindings } from '../repository/backups/rehearsal-findings';

/** What is to be told of a VM's guest, a line each; nothing where nothing is. */
export function guestText(vm: string, guest: GuestRehearsal | undefined): string {
  if (guest === undefined) return '';
  return rehearsalFindings(guest)
    .map((finding) => `${vm}: ${finding}\n`)
    .join('');
}

/** What is to be told of a VM's backup, a line each. */
export const notesText = (vm: string, notes: readonly string[] = []): string =>
  notes.map((note) => `${vm}: ${note}\n`).join('');

/** Warnings of a run's VMs, a line each. */
export const warningsText = (vms: readonly { vm: string; warnings: readonly string[] }[]): string =>
  vms.flatMap(({ vm, warnings }) => warnings.map((warning) => `${vm}: ${warning}\n`)).join('');
