import { Command } from 'commander';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { CLIENT_ATTEMPTS } from '../../client/repository';
import { type Present, type ReadinessStatus, readReadinessStatus } from '../../client/readiness-status';
import { siteStatus, type SiteStatus, type VmSiteStatus } from '../../client/site-status';
import { printable } from '../../plan/printable';
import { windowText } from '../../plan/daily-window';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { fenceText } from '../fence-text';
import { guestText, notesText } from '../guest-text';
import { bytesText, secondsText } from '../numbers';
import { findPlan } from '../plan-argument';
import { readinessText } from '../readiness-text';
import { siteSettings } from '../run-command';
import { tableText } from '../table';
import { watch } from '../watch';

/** `status PLAN`: DR copies and where the VMs run, from the two sites alone. */
export function statusCommand({ io }: CliContext): Command {
  return new Command('status')
    .description('show the DR copies and where each VM runs; asks the sites, not Temporal')
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--json', 'write one JSON document to stdout')
    .option('--watch', 'show it again every 10 seconds, until Ctrl-C')
    .action(async (argument: string, { json, watch: again }: { json?: boolean; watch?: boolean }) => {
      if (json === true && again === true)
        throw new CliError('--json writes one document; leave out --watch, or --json.', EXIT.badInput);
      const settings = siteSettings(io);
      const look = async (): Promise<Looked> => {
        const { plan, digest, store } = await findPlan(argument, settings, io.cwd);
        const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
        const status = await siteStatus(plan, { ec2, store });
        const readiness = await readReadinessStatus(store, plan.name, presentOf(status, digest));
        ec2.destroy();
        return { status, digest, readiness, wantsLaunchCopies: plan.replication.launchCopy === true };
      };
      const text = async (): Promise<string> => {
        const { status, wantsLaunchCopies, readiness } = await look();
        return statusText(status, wantsLaunchCopies, readiness);
      };
      if (again === true) return watch(io, text, WATCH_SECONDS);
      if (json !== true) return io.out(await text());
      const { status, digest, readiness } = await look();
      writeJson(io, statusDocument(status, digest, readiness));
    });
}

/** Seconds between two looks: each asks EC2 three times, and nothing that is shown changes sooner. */
const WATCH_SECONDS = 10;

interface Looked {
  status: SiteStatus;
  digest: string;
  readiness: ReadinessStatus;
  wantsLaunchCopies: boolean;
}

/** What a kept check is compared with. */
const presentOf = ({ vms }: SiteStatus, digest: string): Present => ({
  digest,
  drCopies: new Map(vms.flatMap(({ vm, drCopy }) => (drCopy === undefined ? [] : [[vm, drCopy]]))),
  now: new Date(),
});

/** The document of `status --json`; absent values are null, so that every field is always there. */
export function statusDocument(status: SiteStatus, digest: string, readiness?: ReadinessStatus) {
  return {
    command: 'status',
    ok: true,
    plan: status.plan,
    digest,
    phase: status.phase,
    generation: status.generation,
    since: status.since ?? null,
    closedWindow: status.closedWindow ?? null,
    fence: status.fence ?? null,
    undoing: status.undoing ?? null,
    readiness:
      readiness === undefined
        ? null
        : {
            ...readiness,
            because: readiness.because ?? null,
            check: readiness.check ?? null,
            lastTest: readiness.lastTest ?? null,
          },
    vms: status.vms.map(
      ({ vm, primaryVm, runsAt, drCopy, launchCopy, backup, guest, instance, awayCopy }) => ({
        vm,
        primaryVm: primaryVm ?? vm,
        runsAt,
        instance:
          instance === undefined
            ? null
            : {
                ...instance,
                privateAddress: instance.privateAddress ?? null,
                publicAddress: instance.publicAddress ?? null,
              },
        drCopy: drCopy ?? null,
        launchCopy: launchCopy ?? null,
        backup: backup ?? null,
        guest: guest ?? null,
        awayCopy: awayCopy ?? null,
      }),
    ),
  };
}

const RUNS_AT_WORDS = { primary: 'primary site', recovery: 'recovery site', moving: 'being moved' };

/** @param wantsLaunchCopies whether the plan does, so that a VM without one is told of */
export function statusText(
  status: SiteStatus,
  wantsLaunchCopies = false,
  readiness?: ReadinessStatus,
): string {
  const phase = status.phase === 'none' ? 'never replicated' : `${status.phase} since ${status.since}`;
  const { closedWindow, fence, undoing } = status;
  return (
    `Plan ${status.plan}: ${phase} (generation ${status.generation})\n` +
    (readiness === undefined ? '' : readinessText(status.plan, readiness)) +
    (closedWindow === undefined
      ? ''
      : `Scheduled backups begin ${windowText(closedWindow)} only; the next may at ${closedWindow.opensAt}.\n`) +
    (undoing === undefined
      ? ''
      : `An undo of the ${undoing} is under way, or has ended half-way: lifeboat undo ${status.plan}\n`) +
    (fence === undefined ? '' : fenceText(fence, fence.standing)) +
    tableText(
      ['VM', 'runs at', 'disk', 'size', 'snapshot', 'recovery point', 'age'],
      status.vms.flatMap((vm) => vmRows(vm)),
    ) +
    status.vms.map((vm) => primaryNameLine(vm) + awayText(status, vm)).join('') +
    status.vms
      .map(
        ({ vm, drCopy, launchCopy, backup, guest }) =>
          notesText(vm, backup?.notes) +
          guestText(vm, guest) +
          (wantsLaunchCopies && drCopy !== undefined && launchCopy === undefined ? noLaunchCopyText(vm) : ''),
      )
      .join('')
  );
}

const primaryNameLine = ({ vm, primaryVm }: VmSiteStatus): string =>
  primaryVm === undefined || primaryVm === vm
    ? ''
    : `${vm} is "${printable(primaryVm)}" at the primary site.\n`;

/** What protects a VM that runs at the recovery site: its DR copy is of before. */
function awayText({ plan, phase }: SiteStatus, { vm, awayCopy }: VmSiteStatus): string {
  if (awayCopy !== undefined)
    return `${vm}: away, protected as of ${awayCopy.takenAt} (${secondsText(awayCopy.ageSeconds)} ago).\n`;
  return phase === 'failed-over'
    ? `${vm}: away, NOT protected: there is no copy of its instance. The plan's schedule makes one each round: lifeboat schedule create ${plan}\n`
    : '';
}

const noLaunchCopyText = (vm: string): string =>
  `${vm}: there is no launch copy of this DR copy and plan; a failover takes the longer way. The next restore makes one, or says why not.\n`;

function vmRows({ vm, runsAt, instance, drCopy }: VmSiteStatus): string[][] {
  const addresses = [instance?.privateAddress, instance?.publicAddress].filter(
    (address) => address !== undefined,
  );
  const where =
    instance === undefined
      ? RUNS_AT_WORDS[runsAt]
      : `${RUNS_AT_WORDS[runsAt]} (${[instance.instanceId, instance.state, ...addresses].join(', ')})`;
  if (drCopy === undefined) return [[vm, where, '', '', 'no DR copy', '', '']];
  return drCopy.disks.map((disk, index) => [
    index === 0 ? vm : '',
    index === 0 ? where : '',
    disk.disk,
    bytesText(disk.sizeBytes),
    disk.snapshotId,
    drCopy.takenAt,
    secondsText(drCopy.ageSeconds),
  ]);
}
