import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exists } from '../../../host/if-exists';
import { toolOutput } from '../../../host/run-tool';

/** A disk of another VM, as this host's kernel sees it. */

/** udev names a new disk within a second; a host with hundreds of paths takes longer. */
const APPEAR_SECONDS = 60;
/** The kernel drops a disk within a second of its removal, unless somebody has it open. */
const GONE_SECONDS = 30;
const POLL_MILLISECONDS = 50;

interface Expected {
  uuid: string;
  sizeBytes: number;
  shown: string;
}

/** Waits until a disk is there with its right size. @returns its path. @throws Error where it does not come */
export async function waitForDevice(devices: string, disk: Expected): Promise<string> {
  const path = devicePath(devices, disk.uuid);
  const deadline = Date.now() + APPEAR_SECONDS * 1000;
  let size: number | undefined;
  for (;;) {
    size = await deviceSize(path);
    if (size === disk.sizeBytes) return path;
    if (Date.now() >= deadline) break;
    await sleep(POLL_MILLISECONDS);
  }
  throw new Error(
    size === undefined
      ? `${disk.shown} is attached to the proxy, and ${path} has not appeared within ${APPEAR_SECONDS} s. The proxy's VM needs the ` +
          `setting disk.EnableUUID = TRUE, which works from its next start on.`
      : `${disk.shown} is attached to the proxy, and ${path} has ${size} bytes instead of ${disk.sizeBytes}.`,
  );
}

/** Waits until nothing is left of an earlier state of the disk. @throws Error where it stays */
export async function deviceGone(devices: string, { uuid, shown }: Expected): Promise<void> {
  const path = devicePath(devices, uuid);
  const deadline = Date.now() + GONE_SECONDS * 1000;
  while (await exists(path)) {
    if (Date.now() >= deadline)
      throw new Error(
        `${shown} was let go by the proxy, and ${path} has not gone within ${GONE_SECONDS} s: see what has it open (lsof, dmsetup, ` +
          `pvs, mdadm), and keep the proxy's LVM and RAID off other VMs' disks.`,
      );
    await sleep(POLL_MILLISECONDS);
  }
}

/** What is on the disk is another's: the kernel refuses whatever would be written. A file that stands for a disk is left as it is. */
export async function setReadOnly(path: string): Promise<void> {
  if ((await stat(path)).isBlockDevice()) await toolOutput('blockdev', ['--setro', path]);
}

/** udev's name for a SCSI disk by its world-wide name, which for VMware's is the disk's UUID. */
function devicePath(devices: string, uuid: string): string {
  return join(devices, `wwn-0x${uuid.replaceAll('-', '')}`);
}

/** @returns undefined where there is no such device (yet) */
async function deviceSize(path: string): Promise<number | undefined> {
  if (!(await exists(path))) return undefined;
  const found = await stat(path);
  if (!found.isBlockDevice()) return found.size;
  return Number(await toolOutput('blockdev', ['--getsize64', path]));
}
