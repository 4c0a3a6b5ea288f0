import { execFile } from 'node:child_process';
import { withBackupDisks } from '../../repository/devices/backup-disks';
import { backUpFiles, BACKUP_ID } from '../support/backed-up-disks';
import { MemoryObjectStore } from '../support/memory-object-store';
import { VM } from '../support/small-backups';

/** Opens a disk's backup, begins a read that gets no answer, tells where the disk is, and is killed. */
export async function main([disk = '', directory = '']: string[]): Promise<void> {
  const store = new MemoryObjectStore();
  await backUpFiles(store, { system: disk });
  store.readRange = () => new Promise(() => undefined);
  const where = { store, vm: VM, recoveryPoint: BACKUP_ID, directory, largestBytes: 2 ** 20 };
  await withBackupDisks(where, async (disks) => {
    const { path } = disks.get('system')!;
    execFile('cp', [path, '/dev/null']);
    await new Promise((resolve) => process.stdout.write(`${path}\n`, resolve));
    process.kill(process.pid, 'SIGKILL');
    await new Promise(() => undefined);
  });
}
