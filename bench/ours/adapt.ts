import { readdirSync, readFileSync } from 'node:fs';
import { guestAdapter } from '../../guest/adapter';
import { detectFamily } from '../../guest/detect-family';
import { openApplianceSystem } from '../../guest/disk/appliance-system';
import { withGuest } from '../../guest/files/open-guest';
import { type RecoverySiteAdaptation } from '../../guest/port';

export interface AdaptJob {
  diskPath: string;
  /** `usual`: by the way that the guest's file systems call for. */
  by: 'usual' | 'appliance';
}

export interface Adapted {
  adaptSeconds: number;
  revertSeconds: number;
  /** Most memory of this process. */
  processMiB: number;
  /** Most memory of the appliance's QEMU; 0 where there was none. */
  applianceMiB: number;
}

/** Milliseconds between two looks at the appliance: its memory only grows. */
const LOOK_MS = 50;

/** A guest's adaptation for EC2, and the way home. */
export async function adapt({ diskPath, by }: AdaptJob): Promise<Adapted> {
  const adaptation: RecoverySiteAdaptation = {
    diskPath,
    dataDisks: [],
    bootScripts: [],
    hosts: [{ address: '10.0.1.30', names: ['db'] }],
    runId: 'bench',
  };
  let applianceMiB = 0;
  const timer = setInterval(() => (applianceMiB = Math.max(applianceMiB, peakOfQemu())), LOOK_MS);
  try {
    const adapter = guestAdapter();
    const adaptSeconds = await timed(() =>
      by === 'usual'
        ? adapter.adaptForRecoverySite(adaptation)
        : byAppliance(diskPath, (family, guest) => family.adapt(guest, adaptation)),
    );
    const revertSeconds = await timed(() =>
      by === 'usual'
        ? adapter.revertForPrimarySite(diskPath)
        : byAppliance(diskPath, (family, guest) => family.revert(guest)),
    );
    const processMiB = process.resourceUsage().maxRSS / 1024;
    return { adaptSeconds, revertSeconds, processMiB, applianceMiB };
  } finally {
    clearInterval(timer);
  }
}

type Family = Awaited<ReturnType<typeof detectFamily>>;
type Guest = Awaited<ReturnType<typeof openApplianceSystem>>;

async function byAppliance<T>(
  diskPath: string,
  work: (family: Family, guest: Guest) => Promise<T>,
): Promise<void> {
  const guest = await openApplianceSystem(diskPath, { dataDisks: [] }, 'write');
  try {
    await work(await withGuest(guest.openReadOnly, detectFamily), guest);
    await guest.finish();
  } catch (error) {
    await guest.abandon();
    throw error;
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** Of the QEMU processes that this one has started, as the kernel counts (VmHWM), in MiB. */
function peakOfQemu(): number {
  let peak = 0;
  for (const thread of readdirSync('/proc/self/task')) {
    for (const pid of readFileSync(`/proc/self/task/${thread}/children`, 'latin1').split(' ')) {
      if (pid.trim() === '') continue;
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'latin1');
        if (!/^Name:\s+qemu-system/m.test(status)) continue;
        peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024);
      } catch (error) {
        // It has ended in between.
        if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      }
    }
  }
  return peak;
}
