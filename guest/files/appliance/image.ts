import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../../host/project-root';

/** What the agent of setup/appliance/init calls the protocol of this code. */
export const PROTOCOL = '2';

const SET_UP = 'Run "node setup/appliance.mjs" in the folder of Lifeboat; docs/guests.md has more.';

/** The appliance is not there, or cannot be used: for the operator of this host to mend, not of the guest. */
export class ApplianceMissingError extends Error {
  constructor(problem: string) {
    super(
      `This guest's file systems are read and written by the appliance (xfs, btrfs, LVM, NTFS), and ${problem}. ${SET_UP}`,
    );
    this.name = 'ApplianceMissingError';
  }
}

export interface ApplianceImage {
  kernel: string;
  initramfs: string;
}

/** Where set-up puts the appliance. */
export function applianceDirectory(): string {
  return join(projectRoot(), '.lifeboat/tools/appliance');
}

/** @throws ApplianceMissingError where set-up has not made it */
export async function applianceImage(directory = applianceDirectory()): Promise<ApplianceImage> {
  const image = { kernel: join(directory, 'kernel'), initramfs: join(directory, 'initramfs') };
  for (const path of [image.kernel, image.initramfs]) {
    try {
      await access(path);
    } catch {
      throw new ApplianceMissingError(`there is no ${path} on this host`);
    }
  }
  return image;
}
