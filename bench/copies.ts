import { toolOutput } from '../host/run-tool';
import { type Run } from './benchmark';
import { type MadeDisk } from './disk';
import { runJob } from './ours/run-job';
import { type DiskImage } from './primary';
import { type Site } from './site';

/** Whole copies of one made disk, by our side: what is measured against a peer, and of one adapter against another. */

/** Comparing two images of some gigabytes, on a busy machine. */
const COMPARE_SECONDS = 600;

/** Backs the VM of that disk up into an empty repository. @throws Error where not all of it was stored */
export async function backUpWhole(site: Site, vm: string, disk: MadeDisk): Promise<Run> {
  await site.deleteObjects();
  const job = { vms: [vm], backupId: site.newBackupId(), runId: site.newRunId() };
  const { run, output } = await runJob('backup', job, site.newWorker());
  if (output.blocks !== disk.dataBlocks)
    throw new Error(`The backup stored ${output.blocks} blocks of ${disk.dataBlocks}.`);
  return run;
}

/**
 * Copies a snapshot of the made disk to the empty one of a new VM.
 * @param verify whether every byte of it is compared afterwards
 * @throws Error where it is not the whole disk, or another one
 */
export async function failBackWhole(
  site: Site,
  vm: string,
  { made, snapshotId }: { made: MadeDisk; snapshotId: string },
  verify: boolean,
): Promise<Run> {
  const disk = { key: 'system', sizeBytes: made.sizeBytes, slot: 0, boot: true };
  await site.emptyVm(vm, disk);
  const job = { vm, runId: site.newRunId(), disk, snapshotId };
  const { run, output } = await runJob('failback', job, site.newWorker());
  if (output.blocks !== made.dataBlocks)
    throw new Error(`${output.blocks} blocks were copied of ${made.dataBlocks}.`);
  if (verify) await compareWith(made, site.image(vm, disk.key));
  return run;
}

/** @throws Error where the image has other bytes than the made disk */
export async function compareWith(made: MadeDisk, { path, format }: DiskImage): Promise<void> {
  await toolOutput('qemu-img', ['compare', '-f', 'raw', '-F', format, made.path, path], {
    timeoutSeconds: COMPARE_SECONDS,
  });
}
