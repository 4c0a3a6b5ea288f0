import { type OperatingSystemFamily } from './family';
import { type GuestFiles } from './files/port';
import { linuxFamily } from './linux/linux-family';
import { readOsRelease } from './linux/release';

/** @throws GuestNotAdaptableError where the guest is of no family that is known */
export async function detectFamily(files: GuestFiles): Promise<OperatingSystemFamily> {
  const release = await readOsRelease(files);
  return linuxFamily(release.prettyName);
}
