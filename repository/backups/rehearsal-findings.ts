import { type GuestRehearsal } from './manifest';

/**
 * What is to be told of a VM's guest, the worst first; empty where nothing is. In words that follow the name of the VM.
 * Workflows tell it as well as commands do, so nothing of a host is here.
 */
export function rehearsalFindings({ outcome, problem, warnings }: GuestRehearsal): string[] {
  switch (outcome) {
    case 'not adaptable':
      // A VM that EC2 cannot boot has a backup, and no recovery.
      return [`NOT READY, EC2 cannot boot it: ${problem}`, ...warnings];
    case 'unknown':
      return [`whether EC2 can boot it could not be tried: ${problem}`, ...warnings];
    case 'adaptable':
      return warnings;
  }
}
