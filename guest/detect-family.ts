import { type OperatingSystemFamily } from './family';
import { type GuestFiles } from './files/port';
import { linuxFamily } from './linux/linux-family';
import { readOsRelease } from './linux/release';
import { windowsFamily } from './windows/windows-family';

/** @throws GuestNotAdaptableError where the guest is of no family that is known */
export async function detectFamily(files: GuestFiles): Promise<OperatingSystemFamily> {
  return (await windowsFamily(files)) ?? linuxFamily(await readOsRelease(files));
}
