import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type GuestAdapter } from '../../guest/port';
import {
  type DescribedVm,
  type DiskConfiguration,
  type Hypervisor,
  type OpenDisk,
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
import { asideName, compareWithBackup } from './survivor-check';
import { heldByOthersText, runningText } from './survivors';
import { vmIfThere } from './vm-if-there';
import { markedBy, isMarkOfPlan, markOf, marksOf } from './vm-mark';

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
 * mark, one that survived and is worked on is held under it, and a VM without it is never changed or removed.
 */
export function createPrimarySiteActivities(dependencies: PrimarySiteDependencies): PrimarySiteActivities {
  const { hypervisor, guestAdapter, dial, pollSeconds } = dependencies;
  const activities = {
    async checkPrimarySite({ run, vms, survivors, unfinishedFailbacks = [] }) {
      const problems: string[] = [];
      const notes: string[] = [];
      const survived: string[] = [];
      const setAside: { vm: string; aside: string }[] = [];
      const unfinished = marksOf(run.plan, unfinishedFailbacks);
      let neededBytes = 0;
      const now = new Date();
      const look = async ({ disks, configuration, excludedDisks, ...names }: (typeof vms)[number]) => ({
        ...{ names, backedUp: { disks, configuration, excludedDisks } },
        existing: await vmIfThere(hypervisor, primaryNameOf(names)),
      });
      for await (const { names, backedUp, existing } of mapAhead(vms, VMS_AT_ONCE, look)) {
        const diskBytes = backedUp.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
        if (existing?.mark === markOf(run)) continue;
        if (existing === undefined) neededBytes += diskBytes;
        else if (unfinished.has(existing.mark ?? '')) {
          if (existing.power === 'running') problems.push(leftRunning(names));
        } else if (survivors === undefined) problems.push(inTheWay(names, existing.mark));
        else if (!isMarkOfPlan(existing.heldBy, run.plan))
          problems.push(heldByOthersText(names, existing.heldBy ?? ''));
        else if (existing.power === 'running') problems.push(runningText(names));
        else if (survivors === 'replace' && !isMarkOfPlan(existing.mark, run.plan))
          problems.push(inTheWay(names, existing.mark));
        else if (survivors === 'replace') {
          neededBytes += diskBytes;
          setAside.push({ vm: names.vm, aside: asideName(primaryNameOf(names), now) });
        } else {
          const found = compareWithBackup(run.plan, names, backedUp, existing);
          if (found.differences.length > 0) problems.push(notAsBackedUp(names, found.differences));
          else survived.push(names.vm);
          notes.push(...found.notes);
        }
      }
      const freeBytes = await hypervisor.freeBytes();
      if (freeBytes < neededBytes)
        problems.push(
          `The disks need ${gibibytes(neededBytes)} GiB, and the primary site has ${gibibytes(freeBytes)} GiB free. Make room.`,
        );
      const asked = vms.flatMap(({ disks: _, configuration, excludedDisks: __, ...names }) =>
        configuration === undefined ? [] : [{ vm: primaryNameOf(names), configuration }],
      );
      const found = await hypervisor.check?.({ purpose: 'failback', vms: asked });
      problems.push(...(found?.problems ?? []));
      if (problems.length > 0)
        throw ApplicationFailure.nonRetryable(problems.join(' '), 'PrimarySiteNotReady');
      notes.push(...(found?.notes ?? []));
      return {
        notes,
        ...(survived.length === 0 ? {} : { survived }),
        ...(setAside.length === 0 ? {} : { setAside }),
      };
    },

    async createTemplateVm({ run, configuration, ...names }) {
      const existing = await vmIfThere(hypervisor, primaryNameOf(names));
      if (existing !== undefined && existing.mark !== markOf(run))
        throw ApplicationFailure.nonRetryable(inTheWay(names, existing.mark), 'PrimarySiteNotReady');
      await hypervisor.createVm(primaryNameOf(names), configuration, markOf(run));
    },

    async attachDisks({ run, disks, ...names }) {
      await describeOwn(hypervisor, run, names);
      // One after the other, in their order: a hypervisor changes a VM's hardware in one task at a time.
      for (const disk of [...disks].sort(byPlace)) await hypervisor.addDisk(primaryNameOf(names), disk);
    },

    async revertGuest({ run, diskKeys, ...names }) {
      const described = await describeOwn(hypervisor, run, names);
      const cameHome = described.disks.filter(({ key }) => diskKeys?.includes(key) !== false);
      const disks = nameControllers(cameHome, described.diskController);
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
      const existing = await vmIfThere(hypervisor, primaryNameOf(names));
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

/** @throws ApplicationFailure NotOurVm, non-retryable, where it is neither a VM of this run's making nor held by it */
export async function describeOwn(
  hypervisor: Hypervisor,
  run: RunContext,
  names: PrimaryVm,
): Promise<DescribedVm> {
  const described = await hypervisor.describeVm(primaryNameOf(names));
  if (described.mark !== markOf(run) && described.heldBy !== markOf(run))
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
  const whose = by === undefined ? 'already' : `of the earlier failback ${by}`;
  return `The primary site has a VM ${primaryNameText(names)} ${whose}. Remove it, or rename it if it is still needed.`;
}

function notAsBackedUp(names: PrimaryVm, differences: string[]): string {
  return (
    `The primary site has a VM ${primaryNameText(names)} that is not as its last backup knows it: ${differences.join('; ')}. Nothing of it ` +
    'was changed. Remove or rename it, or fail back with --replace, which keeps it under another name and makes a new VM.'
  );
}

/** For people: rounded up to a tenth, so that a shortage is never told as enough. */
function gibibytes(bytes: number): number {
  return Math.ceil((bytes / 2 ** 30) * 10) / 10;
}
