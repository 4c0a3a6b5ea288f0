import { constants, copyFile } from 'node:fs/promises';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

/** Where Debian and Ubuntu put the UEFI firmware for QEMU, of package ovmf; the newer, larger build first. */
const BUILDS = ['_4M', ''].map((suffix) => ({
  code: `/usr/share/OVMF/OVMF_CODE${suffix}.fd`,
  variables: `/usr/share/OVMF/OVMF_VARS${suffix}.fd`,
}));

/**
 * The flash files of a UEFI machine. Variables (boot entries among them) are the machine's own, in its directory,
 * made from the firmware's template at the first start.
 * @throws Error when the firmware is not installed
 */
export async function uefiFlash(directory: string): Promise<{ code: string; variables: string }> {
  for (const build of BUILDS) {
    if (!(await exists(build.code)) || !(await exists(build.variables))) continue;
    const variables = join(directory, 'uefi-variables.fd');
    if (!(await exists(variables))) await copyFile(build.variables, variables, constants.COPYFILE_EXCL);
    return { code: build.code, variables };
  }
  throw new Error('The machine needs UEFI firmware, which is not installed: apt-get install ovmf');
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
