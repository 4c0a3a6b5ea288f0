import { GuestNotAdaptableError } from '../../port';
import { type Appliance } from './appliance';
import { ApplianceError, printable } from './error';

/**
 * NTFS in the appliance, by the programs of ntfs-3g: its kernel is the host's distribution's, and not every one has a driver that
 * writes NTFS (docs/decisions/0018). They write no log: what is cut off may leave errors, which the check tells.
 */

/**
 * Names are found whatever their case, as Windows finds them; new files get their directory's rights, as from Windows.
 * `norecover`: the program's own idea of a log that was not ended is to throw it away, and what it holds with it.
 */
const MOUNT_OPTIONS =
  'norecover,noatime,ignore_case,windows_names,big_writes,inherit,usermapping=/etc/ntfs-users';

/** What ntfs-3g's programs end with (NTFS_VOLUME_…, volume.h). Both stand for a log that was not ended, by its version. */
const UNCLEAN = [14, 15];
const CORRUPT = [12, 13, 17, 18];

/** The log has at most some hundred MiB; a disk of EBS that is read for the first time is slow. */
const MOUNT_SECONDS = 1200;
/** The check reads the file table, which is a few GiB on the largest servers. */
const CHECK_SECONDS = 1800;
/** The check tells every cluster that is accounted wrongly; more than these are no slip. */
const MAX_CHECK_BYTES = 1024 * 1024;

const MEND =
  'Start the guest at the primary site, run "chkdsk C: /f" in it as Administrator, restart it, shut it down ("shutdown /s /t 0"), and back it up again. ' +
  'Where a failover to this volume was cut off before, make a new volume from the snapshot.';

/**
 * Mounts an NTFS to look at it only: its log is not replayed, and it may be that of a guest that is hibernated.
 * @throws GuestNotAdaptableError where it cannot be mounted
 */
export async function lookAtNtfs(appliance: Appliance, device: string, root: string): Promise<void> {
  expectMounted(device, await mount(appliance, device, root, 'ro'));
}

/**
 * Replays the log of an NTFS that no hibernated guest has left, finds out whether it is sound, and mounts it for writing.
 * @returns what an operator should know of it
 * @throws GuestNotAdaptableError where its log cannot be replayed, or it has errors
 */
export async function mountNtfs(appliance: Appliance, device: string, root: string): Promise<string[]> {
  if (UNCLEAN.includes((await probe(appliance, device)).exitCode)) {
    await replayLog(appliance, device);
    const after = await probe(appliance, device);
    if (UNCLEAN.includes(after.exitCode)) throw unreplayed(device, after.stderr);
  }
  const warnings = await checkNtfs(appliance, device);
  expectMounted(device, await mount(appliance, device, root, 'rw'));
  return warnings;
}

/**
 * Looks whether the file system is sound, without changing it: every cluster that a file has is accounted for, once.
 * @returns what an operator should know of it
 * @throws GuestNotAdaptableError where it is not sound, or Windows has found that it is not
 */
export async function checkNtfs(appliance: Appliance, device: string): Promise<string[]> {
  const command = ['/bin/ntfsresize', '--info', '--verbose', '--no-progress-bar', '--bad-sectors', device];
  const { exitCode, stdout, stderr } = await appliance.run(command, CHECK_SECONDS, MAX_CHECK_BYTES);
  if (exitCode === 0) return [];
  if (exitCode !== 1) throw new ApplianceError(`cannot check the file system on ${device} (${exitCode})`);
  const said = printable(`${stdout}\n${stderr}`);
  const mismatches = [...said.matchAll(/^Cluster accounting failed at .*: (missing|extra) cluster/gm)];
  // Space that is taken and that nothing has is lost, and nothing else; Windows finds it at its next check.
  if (mismatches.length > 0 && mismatches.every((one) => one[1] === 'extra'))
    return [
      `The guest's file system on ${device} (NTFS) has ${mismatches.length} clusters marked as used that no file has; "chkdsk C: /f" in the guest gives them back.`,
    ];
  if (/scheduled for check/.test(said))
    throw new GuestNotAdaptableError(
      `The guest's file system on ${device} (NTFS) is marked as damaged: Windows has found errors in it, and would check it at its next start. ${MEND}`,
    );
  throw hasErrors(device, lastLines(said, /^(ERROR|Cluster|Filesystem check|Corrupt|\$Bitmap)/));
}

function probe(appliance: Appliance, device: string): ReturnType<Appliance['run']> {
  return appliance.run(['/bin/ntfs-3g.probe', '--readwrite', device], MOUNT_SECONDS);
}

function mount(
  appliance: Appliance,
  device: string,
  root: string,
  access: 'ro' | 'rw',
): ReturnType<Appliance['run']> {
  const options = `${access},${MOUNT_OPTIONS}`;
  return appliance.run(['/bin/lowntfs-3g', '-o', options, device, root], MOUNT_SECONDS);
}

/**
 * Applies what the log holds. Windows 8 and later leave a log of version 2 whenever they are not shut down, which stands for "more
 * of it is in the memory of the guest": that memory is gone with the guest, which is not hibernated.
 */
async function replayLog(appliance: Appliance, device: string): Promise<void> {
  const command = ['/bin/ntfsrecover', '--kill-fast-restart', device];
  const { exitCode, stdout, stderr } = await appliance.run(command, MOUNT_SECONDS, MAX_CHECK_BYTES);
  if (exitCode !== 0) throw unreplayed(device, `${stdout}\n${stderr}`);
}

function unreplayed(device: string, said: string): GuestNotAdaptableError {
  return new GuestNotAdaptableError(
    `The guest's file system on ${device} (NTFS) was in use when it was backed up, and its log cannot be replayed: ${lastLines(said, /\S/)} ` +
      'Start the guest at the primary site, shut it down ("shutdown /s /t 0"), and back it up again, or fail over to an earlier recovery point.',
  );
}

function expectMounted(device: string, { exitCode, stderr }: { exitCode: number; stderr: string }): void {
  if (exitCode === 0) return;
  if (CORRUPT.includes(exitCode)) throw hasErrors(device, lastLines(stderr, /\S/));
  throw new ApplianceError(`cannot mount the NTFS on ${device} (${exitCode}): ${lastLines(stderr, /\S/)}`);
}

function hasErrors(device: string, said: string): GuestNotAdaptableError {
  return new GuestNotAdaptableError(
    `The guest's file system on ${device} (NTFS) has errors: ${said} ${MEND}`,
  );
}

function lastLines(text: string, wanted: RegExp): string {
  const lines = printable(text)
    .split('\n')
    .map((line) => line.trim());
  return lines
    .filter((line) => wanted.test(line))
    .slice(-3)
    .join(' ')
    .slice(-400);
}
