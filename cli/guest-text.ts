import { type BootScriptResult, type ConsoleEvidence } from '../activities/aws-proxy/launch/contract';
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

/** What is to be told of how VMs' boot scripts ended, a line each; nothing where they ended with 0. */
export const bootScriptsText = (
  vms: readonly { vm: string; bootScripts?: readonly BootScriptResult[] }[],
): string =>
  vms
    .flatMap(({ vm, bootScripts = [] }) =>
      bootScripts.flatMap(({ name, status, reason }) => {
        if (status === 0) return [];
        if (status !== 'unknown') return `${vm}: its boot script ${name} ended with exit status ${status}.\n`;
        return `${vm}: the exit status of its boot script ${name} is not known${reason === undefined ? '' : `: ${reason}`}.\n`;
      }),
    )
    .join('');

/** Where a failover's console evidence is, in a line for all of its VMs; nothing where there is none. */
export function consolesText(
  plan: string,
  vms: readonly { vm: string; console?: ConsoleEvidence }[],
): string {
  const shown = vms.filter(({ console }) => console?.screenshot !== undefined).length;
  if (shown === 0) return '';
  const checks = new Map<string, number>();
  for (const { console } of vms) {
    if (console?.statusChecks === undefined) continue;
    const { system, instance } = console.statusChecks;
    const told = system === instance ? system : `system ${system}, instance ${instance}`;
    checks.set(told, (checks.get(told) ?? 0) + 1);
  }
  const counts = [...checks].map(([told, count]) => `${count} ${told}`).join('; ');
  return (
    `Screens of ${shown} of ${vms.length} VMs are kept: lifeboat console ${plan} VM\n` +
    (counts === '' ? '' : `EC2's status checks: ${counts}\n`)
  );
}
