import { type GuestFiles } from '../files/port';
import { blockOf } from '../linux/changes/marked-text';
import { GuestNotAdaptableError } from '../port';
import { environmentPath, RUNNER, STATE_DIRECTORY } from './boot-scripts';
import { PREPARE_SCRIPT, type WindowsGuest } from './detect';
import { LAUNCH_READER_SCRIPT } from './launch-reader';
import { findPath } from './paths';
import { type Addition } from './replace';

/** A line of the runner's: one that has it starts the reader of launch data. Counted up where the reader needs more of it. */
const READS_LAUNCH_DATA = /^# Lifeboat runner: ([2-9]|[1-9][0-9]+)\r?$/m;
const MAX_RUNNER_BYTES = 256 * 1024;

/** Why a VM is not lost without a launch copy. */
const INSTEAD = 'it is adapted at failover instead';

/**
 * Has the guest read its launch's data when Windows starts: files beside the boot scripts of the run, whose runner starts the reader.
 * @param hosts the guest's hosts file as it will be, where it names other machines
 */
export function launchFiles(runId: string, additions: Addition[], hosts: Buffer | undefined): Addition[] {
  const directory = `${STATE_DIRECTORY}/${runId}/launch`;
  const environment = additions.find(({ path }) => path === environmentPath(runId))?.content;
  const block = blockOf((hosts?.toString('latin1') ?? '').replaceAll('\r\n', '\n'));
  const file = (name: string, text: string): Addition => ({
    path: `${directory}/${name}`,
    content: Buffer.from(text, 'latin1'),
  });
  return [
    file('Read-LaunchData.ps1', LAUNCH_READER_SCRIPT.replaceAll('\n', '\r\n')),
    file('environment', environment?.toString('latin1') ?? ''),
    ...(block === undefined ? [] : [file('hosts', block.map((line) => `${line}\r\n`).join(''))]),
  ];
}

/**
 * What a launch copy cannot do without, and an adaptation at failover can.
 * @throws GuestNotAdaptableError
 */
export async function expectLaunchable(files: GuestFiles, guest: WindowsGuest): Promise<void> {
  const runner = await findPath(files, RUNNER);
  const again = `Run ${PREPARE_SCRIPT} once in the guest, as Administrator, and back it up again (docs/guests.md, "Windows")`;
  if (runner === undefined)
    throw new GuestNotAdaptableError(
      `The guest runs ${guest.name}, and nothing in it would read what a launch copy is told at its launch: ${INSTEAD}. ${again}.`,
    );
  if (!READS_LAUNCH_DATA.test((await files.read(runner, MAX_RUNNER_BYTES)).toString('latin1')))
    throw new GuestNotAdaptableError(
      `The guest runs ${guest.name}, and its Start-Lifeboat.ps1 is of an earlier release, which reads nothing of what a launch copy is told: ${INSTEAD}. ${again}.`,
    );
  if (guest.scriptsForbidden !== undefined)
    throw new GuestNotAdaptableError(
      `The guest runs ${guest.name}, ${guest.scriptsForbidden}, so that nothing would read what a launch copy is told: ${INSTEAD}. ` +
        'Have the policy allow local scripts (RemoteSigned), and back the guest up again.',
    );
  const [route] = guest.metadataRoutes;
  if (route !== undefined)
    throw new GuestNotAdaptableError(
      `The guest runs ${guest.name}, and a lasting route of it (${route}) would lead away from EC2's metadata service, by which a launch copy is told of its launch: ${INSTEAD}. ` +
        'Remove the route in the guest ("route delete 169.254.169.254", as Administrator), and back it up again.',
    );
}
