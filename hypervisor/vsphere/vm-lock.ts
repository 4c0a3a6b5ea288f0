import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from '../../host/lock';
import { type Site } from './site';
import { fileNameOf, type VmRef } from './vm';

/**
 * Quiescing a guest may take a quarter of an hour (the default of VirtualMachineGuestQuiesceSpec.timeout), and merging a large
 * snapshot longer.
 */
const VM_LOCK_WAIT_SECONDS = 3600;

/** Takes and removes a VM's snapshots one after another, whatever the process on this host. */
export async function aloneWith<T>(
  { stateDirectory }: Pick<Site, 'stateDirectory'>,
  vm: VmRef,
  work: () => Promise<T>,
): Promise<T> {
  const locks = join(stateDirectory, 'vms');
  await mkdir(locks, { recursive: true });
  return withLock(join(locks, `${fileNameOf(vm)}.lock`), work, VM_LOCK_WAIT_SECONDS);
}
