import { readFile, stat } from 'node:fs/promises';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';

/** A volume as EC2 knows it. */
interface ExpectedVolume {
  volumeId: string;
  sizeBytes: number;
}

const SECTOR_BYTES = 512;

/**
 * Makes sure that what is at a path is the volume and nothing else, before anything is written to it: a link may be
 * left over, or the device directory be set to the wrong place.
 * @param path a block device, or the sandbox's file; links are followed
 * @param sysfs where the kernel tells about devices; another place only in tests
 * @throws ApplicationFailure WrongDevice, non-retryable
 */
export async function checkDevice(path: string, expected: ExpectedVolume, sysfs = '/sys'): Promise<void> {
  const { volumeId, sizeBytes } = expected;
  const found = await stat(path, { bigint: true });
  if (found.isFile()) {
    if (found.size !== BigInt(sizeBytes))
      throw wrongDevice(path, volumeId, `it has ${found.size} bytes instead of ${sizeBytes}`);
    return;
  }
  if (!found.isBlockDevice()) throw wrongDevice(path, volumeId, 'it is no block device');

  const device = `${sysfs}/dev/block/${deviceNumber(found.rdev)}`;
  if ((await readIfThere(`${device}/partition`)) !== undefined)
    throw wrongDevice(path, volumeId, 'it is a partition');
  const bytes = Number(await readIfThere(`${device}/size`)) * SECTOR_BYTES;
  if (bytes !== sizeBytes) throw wrongDevice(path, volumeId, `it has ${bytes} bytes instead of ${sizeBytes}`);
  // An EBS volume's serial is its id without the hyphen ("Map Amazon EBS volumes to NVMe device names"). Other
  // controllers have none.
  const serial = await readIfThere(`${device}/device/serial`);
  if (serial !== undefined && serial !== volumeId.replace('-', ''))
    throw wrongDevice(path, volumeId, `its serial number is ${JSON.stringify(serial.slice(0, 40))}`);
}

/** `major:minor`, as sysfs names a device. The number is glibc's makedev(3). */
function deviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'latin1')).trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function wrongDevice(path: string, volumeId: string, why: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `${path} is not the volume ${volumeId}: ${why}. Nothing was written to it. Check LIFEBOAT_DEVICE_DIRECTORY and udev's ` +
      `links on this AWS proxy.`,
    'WrongDevice',
  );
}
