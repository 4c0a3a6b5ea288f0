import { qmpSocketOf } from '../../machines/machine';
import { withQmp } from '../../machines/qmp';

/**
 * Writes bytes through a running machine. No operating system runs in it: QEMU's own I/O test command writes where
 * the guest's controller would.
 */
export async function writeAsGuest(
  machineDirectory: string,
  slot: number,
  offset: number,
  length: number,
  pattern: number,
): Promise<void> {
  await commandsAsGuest(machineDirectory, slot, [`write -P ${pattern} ${offset} ${length}`]);
}

/** Any commands of qemu-io. */
export async function commandsAsGuest(
  machineDirectory: string,
  slot: number,
  commands: readonly string[],
): Promise<void> {
  await withQmp(await qmpSocketOf(machineDirectory), async (qmp) => {
    for (const command of commands) {
      const answer = await qmp.execute<string>('human-monitor-command', {
        'command-line': `qemu-io -d drive${slot} "${command}"`,
      });
      if (answer !== '') throw new Error(answer); // what it did, it prints elsewhere; the tests read it back
    }
  });
}
