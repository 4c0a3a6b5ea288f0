import { randomUUID } from 'node:crypto';
import { access, copyFile, link, rm } from 'node:fs/promises';
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
    if (!(await exists(variables))) await copyWhole(build.variables, variables);
    return { code: build.code, variables };
  }
  throw new Error('The machine needs UEFI firmware, which is not installed: apt-get install ovmf');
}

/** Copies a file so that it appears whole; where another process was quicker, that one's copy stays. */
async function copyWhole(from: string, to: string): Promise<void> {
  const temporary = `${to}.${randomUUID()}`;
  try {
    await copyFile(from, temporary);
    await link(temporary, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
