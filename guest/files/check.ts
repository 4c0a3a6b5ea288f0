import { runTool } from '../../host/run-tool';
import { GuestNotAdaptableError } from '../port';
import { e2fsprogsTooOld, saysTooOld } from './e2fsprogs-version';
import { deviceAt } from './debugfs';
import { DebugfsSession } from './debugfs-session';

/** A check of a file system of many TiB takes minutes; one that takes longer has lost its way. */
const CHECK_SECONDS = 1800;

/** e2fsck(8): 0 no errors, 1 errors corrected, 4 errors left; 8 and above the check itself failed. */
const CORRECTED = 1;
const ERRORS_LEFT = 4;
const CHECK_FAILED = 8;

/**
 * Replays the journal of a file system that was copied while in use, and mends what can be mended without a person.
 * Before the first write: replay would undo it.
 * @param everything checks a file system that says it is clean, too
 * @throws GuestNotAdaptableError where errors are left
 * @throws ToolTooOldError where the file system has features that this host's e2fsck does not know
 */
export async function replayJournal(diskPath: string, offset: number, everything: boolean): Promise<void> {
  let result = await check(diskPath, offset, everything ? ['-fp'] : ['-p']);
  if (REOPEN_FAILED.test(result.text)) {
    await markJournalReplayed(deviceAt(diskPath, offset));
    result = await check(diskPath, offset, ['-fp']);
  }
  if (result.exitCode >= CHECK_FAILED && (result.exitCode & ERRORS_LEFT) === 0) {
    throw new Error(`e2fsck cannot check ${deviceAt(diskPath, offset)}: ${lastLines(result.text)}`);
  }
  if (result.exitCode > CORRECTED) {
    throw new GuestNotAdaptableError(
      `A file system of the guest (at byte ${offset} of its disk) has errors that are not mended without a person: ` +
        `${lastLines(result.text)} Run "e2fsck -f" in the guest, back it up and restore again, or fail over to an earlier recovery point.`,
    );
  }
}

/**
 * e2fsck (1.47 and before at least) replays the journal and empties it, then opens the file system again to go on, and
 * forgets that it begins at an offset. What it has left undone by then is the mark that says "replay me".
 */
const REOPEN_FAILED = /while trying to re-open/;

/** Takes the mark away, once it is certain that the journal is empty. */
async function markJournalReplayed(device: string): Promise<void> {
  const session = await DebugfsSession.open(device, true);
  try {
    const { stdout } = await session.run(['logdump']);
    // Block 0 is the journal's own superblock: "no transaction".
    if (!/^Journal starts at block 0,/m.test(stdout)) {
      throw new Error(`e2fsck did not replay the journal of ${device}: ${lastLines(stdout)}`);
    }
    const { stderr } = await session.run(['feature -needs_recovery']);
    if (stderr.trim() !== '') throw new Error(`debugfs on ${device}: ${stderr.trim()}`);
  } finally {
    await session.close();
  }
}

/**
 * Checks a file system without changing it, after writing.
 * @throws GuestNotAdaptableError where it has errors
 */
export async function expectSound(diskPath: string, offset: number): Promise<void> {
  const result = await check(diskPath, offset, ['-fn']);
  if (result.exitCode >= CHECK_FAILED) {
    throw new Error(`e2fsck cannot check ${deviceAt(diskPath, offset)}: ${lastLines(result.text)}`);
  }
  if (result.exitCode !== 0) {
    throw new GuestNotAdaptableError(
      `A file system of the guest (at byte ${offset} of its disk) has errors after it was written: ${lastLines(result.text)} ` +
        'Make a new volume from the snapshot and try again.',
    );
  }
}

async function check(
  diskPath: string,
  offset: number,
  options: string[],
): Promise<{ exitCode: number; text: string }> {
  const device = deviceAt(diskPath, offset);
  const { exitCode, stdout, stderr } = await runTool('e2fsck', [...options, device], {
    timeoutSeconds: CHECK_SECONDS,
  });
  const text = `${stdout.toString('latin1')}\n${stderr}`;
  // With any exit code: e2fsck counts what it does not know as errors that are left, too.
  if (saysTooOld(text)) throw await e2fsprogsTooOld(device, text);
  return { exitCode, text };
}

/** The end of what a tool printed; what it quotes comes from the guest, so only printable characters are kept. */
function lastLines(text: string): string {
  return text
    .replace(/[^\x20-\x7e\n]/g, '?')
    .trim()
    .split('\n')
    .slice(-4)
    .join(' ')
    .slice(-600);
}
