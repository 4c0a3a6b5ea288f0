import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type GuestAdapter } from '../../guest/port';
import {
  type DiskConfiguration,
  type Hypervisor,
  type OpenDisk,
  type VmConfiguration,
  VmNotFoundError,
} from '../../hypervisor/port';
import { mapAhead } from '../../blocks/pipeline';
import { byPlace, nameControllers } from '../../machines/disk-place';
import { primaryNameOf, primaryNameText, type PrimaryVm } from '../../plan/primary-vm';
import { type RunContext } from '../../plan/run';
import { type Dial } from '../dial';
import { withFailures } from '../failures';
import { beating } from '../heartbeat';
import { otherDisks } from '../other-disks';
import { waitUntilAnswers } from '../probe';
import { type BackupProxyActivities } from './contract';
import { VMS_AT_ONCE } from './power';
import { markedBy, markOf } from './vm-mark';

export interface PrimarySiteDependencies {
  hypervisor: Hypervisor;
  guestAdapter: GuestAdapter;
  dial: Dial;
  /** Seconds between two questions to a VM that starts, instead of the usual pace. */
  pollSeconds?: number;
}

type PrimarySiteActivities = Pick<
  BackupProxyActivities,
  | 'checkPrimarySite'
  | 'createTemplateVm'
  | 'attachDisks'
  | 'revertGuest'
  | 'configureAndStartVm'
  | 'removeTemplateVm'
  | 'waitUntilReady'
>;

/**
 * The primary site's side of failback, in a data centre that may be brand new. Every VM that a run makes carries its
 * mark, and a VM without it is never changed or removed.
 */
export function createPrimarySiteActivities(dependencies: PrimarySiteDependencies): PrimarySiteActivities {
  const { hypervisor, guestAdapter, dial, pollSeconds } = dependencies;
  const activities = {
    async checkPrimarySite({ run, vms, unfinishedFailbacks = [] }) {
      const problems: string[] = [];
      const unfinished = new Set(unfinishedFailbacks.map((runId) => markOf({ plan: run.plan, runId })));
      let neededBytes = 0;
      const look = async ({ disks, configuration: _, ...names }: (typeof vms)[number]) => ({
        ...{ names, disks },
        existing: await describe(hypervisor, names),
      });
      for await (const { names, disks, existing } of mapAhead(vms, VMS_AT_ONCE, look)) {
        if (existing === undefined) neededBytes += disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
        else if (unfinished.has(existing.mark ?? '')) {
          if (existing.power === 'running') problems.push(leftRunning(names));
        } else if (existing.mark !== markOf(run)) problems.push(inTheWay(names, existing.mark));
      }
      const freeBytes = await hypervisor.freeBytes();
      if (freeBytes < neededBytes)
        problems.push(
          `The disks need ${gibibytes(neededBytes)} GiB, and the primary site has ${gibibytes(freeBytes)} GiB free. Make room.`,
        );
      const asked = vms.flatMap(({ disks: _, configuration, ...names }) =>
        configuration === undefined ? [] : [{ vm: primaryNameOf(names), configuration }],
      );
      const found = await hypervisor.check?.({ purpose: 'failback', vms: asked });
      problems.push(...(found?.problems ?? []));
      if (problems.length > 0)
        throw ApplicationFailure.nonRetryable(problems.join(' '), 'PrimarySiteNotReady');
      return { notes: found?.notes ?? [] };
    },

    async createTemplateVm({ run, configuration, ...names }) {
      const existing = await describe(hypervisor, names);
      if (existing !== undefined && existing.mark !== markOf(run))
        throw ApplicationFailure.nonRetryable(inTheWay(names, existing.mark), 'PrimarySiteNotReady');
      await hypervisor.createVm(primaryNameOf(names), configuration, markOf(run));
    },

    async attachDisks({ run, disks, ...names }) {
      await describeOwn(hypervisor, run, names);
      // One after the other, in their order: a hypervisor changes a VM's hardware in one task at a time.
      for (const disk of [...disks].sort(byPlace)) await hypervisor.addDisk(primaryNameOf(names), disk);
    },

    async revertGuest({ run, ...names }) {
      const described = await describeOwn(hypervisor, run, names);
      const disks = nameControllers(described.disks, described.diskController);
      const boot = disks.find((disk) => disk.boot);
      if (boot === undefined)
        throw ApplicationFailure.nonRetryable(`${names.vm} has no disk to boot from.`, 'InvalidRequest');
      return withOpenDisks(hypervisor, primaryNameOf(names), disks, (paths) =>
        guestAdapter.revertForPrimarySite(
          paths.get(boot.key) ?? '',
          otherDisks(disks, boot, ({ key }) => paths.get(key) ?? ''),
        ),
      );
    },

    async configureAndStartVm({ run, configuration, ...names }) {
      const { power } = await describeOwn(hypervisor, run, names);
      // Started by a try whose reply was lost.
      if (power === 'running') return;
      await hypervisor.configureVm(primaryNameOf(names), configuration);
      await hypervisor.powerOn(primaryNameOf(names));
    },

    async removeTemplateVm({ run, unlessRunning = false, ...names }) {
      const existing = await describe(hypervisor, names);
      if (existing?.mark !== markOf(run)) return;
      if (unlessRunning && existing.power === 'running')
        throw ApplicationFailure.nonRetryable(leftRunning(names), 'PrimarySiteNotReady');
      await hypervisor.deleteVm(primaryNameOf(names));
    },

    waitUntilReady: ({ address, probe, ...names }) =>
      waitUntilAnswers({
        address,
        probe,
        dial,
        console: () => hypervisor.consoleOutput(primaryNameOf(names)),
        signal: cancellationSignal(),
        heartbeat,
        ...(pollSeconds === undefined ? {} : { pollSeconds }),
      }),
  } satisfies PrimarySiteActivities;
  return withFailures(beating<PrimarySiteActivities>(activities));
}

/** Opens all of a VM's disks, does the work, and closes them whatever happens. The paths are by key. */
async function withOpenDisks<T>(
  hypervisor: Hypervisor,
  vm: string,
  disks: DiskConfiguration[],
  work: (paths: ReadonlyMap<string, string>) => Promise<T>,
): Promise<T> {
  const open = new Map<string, OpenDisk>();
  let result: T;
  try {
    for (const { key } of disks) open.set(key, await hypervisor.openDisk(vm, key));
    result = await work(new Map([...open].map(([key, { path }]) => [key, path])));
  } catch (error) {
    // The first error says what went wrong; closing may fail in its wake.
    await Promise.allSettled([...open.values()].map((disk) => disk.close()));
    throw error;
  }
  for (const disk of open.values()) await disk.close();
  return result;
}

type DescribedVm = VmConfiguration & { power: 'running' | 'off'; mark?: string };

async function describe(hypervisor: Hypervisor, names: PrimaryVm): Promise<DescribedVm | undefined> {
  try {
    return await hypervisor.describeVm(primaryNameOf(names));
  } catch (error) {
    if (error instanceof VmNotFoundError) return undefined;
    throw error;
  }
}

/** @throws ApplicationFailure NotOurVm, non-retryable, where it is not a VM of this run's making */
async function describeOwn(hypervisor: Hypervisor, run: RunContext, names: PrimaryVm): Promise<DescribedVm> {
  const described = await hypervisor.describeVm(primaryNameOf(names));
  if (described.mark !== markOf(run))
    throw ApplicationFailure.nonRetryable(
      `The VM ${primaryNameText(names)} at the primary site is not the one that this run created; it is left as it is.`,
      'NotOurVm',
    );
  return described;
}

/** Its run died after its start, and nobody knows for how long it has served. */
function leftRunning(names: PrimaryVm): string {
  return (
    `The VM ${primaryNameText(names)} of a failback that ended half-way runs at the primary site, and may hold what nobody else has. ` +
    'Look at it: shut it down where nothing on it is needed, and it will be made anew.'
  );
}

function inTheWay(names: PrimaryVm, mark: string | undefined): string {
  const by = markedBy(mark);
  return by !== undefined
    ? `The primary site has a VM ${primaryNameText(names)} of the earlier failback ${by}. Remove it.`
    : `The primary site has a VM ${primaryNameText(names)} already. Remove it, or rename it if it is still needed.`;
}

/** For people: rounded up to a tenth, so that a shortage is never told as enough. */
function gibibytes(bytes: number): number {
  return Math.ceil((bytes / 2 ** 30) * 10) / 10;
}
