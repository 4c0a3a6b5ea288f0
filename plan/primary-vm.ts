/**
 * A VM has two names: the plan's, by which the backups, what is on AWS, DNS and people's commands know it, and the data
 * centre's, which may hold blanks, capitals and folders, and be another after a failback.
 */
export interface PrimaryVm {
  /** The plan's name for it. */
  vm: string;
  /** What the primary site knows it by: an inventory path, an instance UUID or a name; the plan's name where absent. */
  primaryVm?: string;
}

/** A planned VM by both of its names. */
export function bothNames({ name, primaryVm }: { name: string; primaryVm?: string }): PrimaryVm {
  return { vm: name, ...(primaryVm === undefined ? {} : { primaryVm }) };
}

/** What the hypervisor is asked for. */
export function primaryNameOf({ vm, primaryVm }: PrimaryVm): string {
  return primaryVm ?? vm;
}

/** For people: what the primary site calls it, and the plan's name where that is another. */
export function primaryNameText({ vm, primaryVm }: PrimaryVm): string {
  return primaryVm === undefined || primaryVm === vm ? `"${vm}"` : `"${primaryVm}" (${vm} in the plan)`;
}
