import { Command } from 'commander';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { CLIENT_ATTEMPTS } from '../../client/repository';
import { lifeboatClient } from '../../client/client';
import { type KeptTestStatus } from '../../client/kept-tests';
import { type RunUnderWay, runsUnderWay } from '../../client/runs-under-way';
import { type Present, type ReadinessStatus, readReadinessStatus } from '../../client/readiness-status';
import { siteStatus, type SiteStatus, type VmSiteStatus } from '../../client/site-status';
import { type TestSchedule } from '../../client/test-schedules';
import { printable } from '../../plan/printable';
import { type DrPlan } from '../../plan/schema';
import { objectivesText, standingOf } from '../objectives-text';
import { windowText } from '../../plan/daily-window';
import { askerText, awaitedText, pausedText } from '../decision-text';
import { someOf } from '../../plan/some-of';
import { CliError, EXIT } from '../exit-codes';
import { NEEDS_ATTENTION } from '../../workflows/run/messages';
import { explainError } from '../explain-error';
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
    .description(
      'show the DR copies, where each VM runs, and what runs wait for; all but that without Temporal',
    )
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
        const [status, fromTemporal] = await Promise.all([
          siteStatus(plan, { ec2, store }),
          askTemporal(plan.name, settings.sandboxFile !== undefined),
        ]);
        const readiness = await readReadinessStatus(store, plan.name, presentOf(status, digest));
        ec2.destroy();
        const { objectives, replication } = plan;
        const wants = {
          launchCopies: replication.launchCopy === true,
          locks: replication.lock !== undefined,
        };
        return {
          ...{ status, digest, readiness, ...fromTemporal, wants },
          ...(objectives === undefined ? {} : { objectives }),
        };
      };
      const text = async (): Promise<string> => {
        const { status, wants, readiness, runs, testSchedule, objectives } = await look();
        return (
          statusText(status, wants, readiness, objectives) +
          keptTestsText(status.keptTests, argument) +
          testScheduleText(testSchedule) +
          runsText(runs, argument)
        );
      };
      if (again === true) return watch(io, text, WATCH_SECONDS);
      if (json !== true) return io.out(await text());
      const { status, digest, readiness, runs, testSchedule, objectives } = await look();
      writeJson(io, {
        ...statusDocument(status, digest, readiness),
        objectives: objectives === undefined ? null : standingOf(objectives, status, readiness),
        runs: typeof runs === 'string' ? null : runs.map(runDocument),
        testSchedule: testSchedule ?? null,
      });
    });
}

/** Seconds between two looks: each asks EC2 three times, and nothing that is shown changes sooner. */
const WATCH_SECONDS = 10;

interface Looked {
  status: SiteStatus;
  digest: string;
  readiness: ReadinessStatus;
  runs: RunUnderWay[] | string;
  testSchedule: TestSchedule | undefined;
  wants: Wants;
  objectives?: NonNullable<DrPlan['objectives']>;
}

/** What a plan wants of its DR copies besides. */
interface Wants {
  launchCopies: boolean;
  locks: boolean;
}

/** What a kept check is compared with. */
const presentOf = ({ vms }: SiteStatus, digest: string): Present => ({
  digest,
  drCopies: new Map(vms.flatMap(({ vm, drCopy }) => (drCopy === undefined ? [] : [[vm, drCopy]]))),
  guests: Object.fromEntries(vms.flatMap(({ vm, facts }) => (facts === undefined ? [] : [[vm, facts]]))),
  now: new Date(),
});

/** Seconds for which Temporal is asked: the sites alone tell where the application runs, and nobody waits for Temporal then. */
const TEMPORAL_SECONDS = 2;

/** @returns why they are not known, where Temporal does not tell: the sites' answer is there all the same */
async function askTemporal(
  plan: string,
  ignoreConfigurationFile: boolean,
): Promise<Pick<Looked, 'runs' | 'testSchedule'>> {
  try {
    const client = await lifeboatClient({ ignoreConfigurationFile, connectSeconds: TEMPORAL_SECONDS });
    try {
      const [runs, testSchedule] = await Promise.all([
        runsUnderWay(client, plan),
        client.testSchedules.describe(plan),
      ]);
      return { runs, testSchedule };
    } finally {
      await client.close();
    }
  } catch (error) {
    return { runs: explainError(error).message, testSchedule: undefined };
  }
}

function runDocument({ type, mode, workflowId, runId, status, pinnedTo, askedBy }: RunUnderWay) {
  return {
    ...{ type, test: mode === 'test', workflowId, runId },
    askedBy: askedBy ?? null,
    phase: status?.phase ?? null,
    needsAttention: status?.needsAttention ?? null,
    awaited: status?.awaited ?? [],
    paused: status?.paused ?? null,
    kept: status?.kept ?? null,
    pinnedTo: pinnedTo ?? null,
  };
}

/** What goes on, and for whom it waits. @param plan as the person named it */
export function runsText(runs: RunUnderWay[] | string, plan: string): string {
  if (typeof runs === 'string') return `What runs are doing is not known: ${runs}\n`;
  return runs
    .map(({ type, mode, workflowId, status, pinnedTo, askedBy }) => {
      const test = mode === 'test' ? ' --test' : '';
      const lines = [`${workflowId}: ${status?.phase ?? 'no control worker answers'}`];
      if (askedBy !== undefined) lines.push(`asked for by ${askerText(askedBy)}`);
      if (pinnedTo !== undefined)
        lines.push(`It goes on when a control worker of ${pinnedTo} answers: lifeboat worker versions`);
      if (status?.needsAttention === true) {
        if (status.problem !== undefined) lines.push(`needs attention: ${status.problem}`);
        for (const { vm, phase, detail } of status.vms)
          if (phase === NEEDS_ATTENTION) lines.push(`${vm} needs attention: ${detail}`);
        lines.push(
          `Needs attention: lifeboat ${type}${test} ${plan} shows it; mended, go on: lifeboat retry ${plan}`,
        );
      }
      for (const awaited of status?.awaited ?? []) lines.push(awaitedText(awaited, `${plan}${test}`));
      if (status?.kept !== undefined)
        lines.push(
          `Kept since ${status.kept.since}, until ${status.kept.until}; to end it: lifeboat test end ${plan}`,
        );
      if (status?.paused !== undefined) lines.push(pausedText(status.paused, `${plan}${test}`));
      return lines.map((line) => `${printable(line)}\n`).join('');
    })
    .join('');
}

/** Tests that are up. A person may look for their addresses, or wonder what still costs. @param plan as the person named it */
export const keptTestsText = (tests: readonly KeptTestStatus[], plan: string): string =>
  tests
    .map(({ runId, until, overdue, instances }) => {
      const where = instances.map(
        ({ vm, instanceId, state, privateAddress, publicAddress }) =>
          `  ${vm}: ${[instanceId, state, privateAddress, publicAddress].filter((one) => one !== undefined).join(', ')}`,
      );
      const first = overdue
        ? `The test ${runId} was kept until ${until}, and its instances are still there. Where nothing removes it: lifeboat sweep ${plan}`
        : `The test ${runId} is kept until ${until}:`;
      return [first, ...where]
        .map((line) => `${line.startsWith('  ') ? '  ' : ''}${printable(line.trim())}\n`)
        .join('');
    })
    .join('');

const testScheduleText = (schedule: TestSchedule | undefined): string =>
  schedule === undefined
    ? ''
    : schedule.paused
      ? `The schedule of tests is paused (${printable(schedule.note ?? 'no reason given')}).\n`
      : `The next scheduled test is due at ${schedule.nextTimes[0] ?? 'no time that is known'}.\n`;

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
    chosen: status.chosen ?? null,
    keptTests: status.keptTests.map(({ instances, ...test }) => ({
      ...test,
      instances: instances.map((one) => ({
        ...one,
        privateAddress: one.privateAddress ?? null,
        publicAddress: one.publicAddress ?? null,
      })),
    })),
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
      ({ vm, primaryVm, runsAt, drCopy, turnedAway, launchCopy, backup, guest, instance, ...more }) => ({
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
        turnedAway,
        lockedCopy: more.lockedCopy ?? null,
        launchCopy: launchCopy ?? null,
        backup: backup ?? null,
        guest: guest ?? null,
        awayCopy: more.awayCopy ?? null,
      }),
    ),
  };
}

const RUNS_AT_WORDS = {
  primary: 'primary site',
  recovery: 'recovery site',
  moving: 'being moved',
  nowhere: 'nowhere: the failover left it out',
};

/**
 * @param wants what of the plan's VMs there should be, so that one without it is told of
 */
export function statusText(
  status: SiteStatus,
  wants: Wants = { launchCopies: false, locks: false },
  readiness?: ReadinessStatus,
  objectives?: DrPlan['objectives'],
): string {
  const phase = status.phase === 'none' ? 'never replicated' : `${status.phase} since ${status.since}`;
  const { closedWindow, fence, undoing } = status;
  return (
    `Plan ${status.plan}: ${phase} (generation ${status.generation})\n` +
    (readiness === undefined ? '' : readinessText(status.plan, readiness)) +
    (objectives === undefined ? '' : objectivesText(standingOf(objectives, status, readiness))) +
    (closedWindow === undefined
      ? ''
      : `Scheduled backups begin ${windowText(closedWindow)} only; the next may at ${closedWindow.opensAt}.\n`) +
    chosenText(status) +
    (undoing === undefined
      ? ''
      : `An undo of the ${undoing} is under way, or has ended half-way: lifeboat undo ${status.plan}\n`) +
    (fence === undefined ? '' : fenceText(fence, fence.standing)) +
    tableText(
      ['VM', 'runs at', 'disk', 'size', 'snapshot', 'recovery point', 'age'],
      status.vms.flatMap((vm) => vmRows(vm)),
    ) +
    status.vms.map((vm) => primaryNameLine(vm) + awayText(status, vm)).join('') +
    (wants.locks ? status.vms.map(lockText).join('') : '') +
    status.vms
      .map(
        ({ vm, drCopy, launchCopy, backup, guest }) =>
          notesText(vm, backup?.notes) +
          guestText(vm, guest) +
          (wants.launchCopies && drCopy !== undefined && launchCopy === undefined
            ? noLaunchCopyText(vm)
            : ''),
      )
      .join('')
  );
}

/** Which line goes on, where a failover went to chosen recovery points. */
function chosenText({ plan, chosen, vms }: SiteStatus): string {
  if (chosen !== undefined)
    return (
      `Recovery points were chosen: what was backed up after ${chosen.after} is of the line that was turned away from (lifeboat points ${plan}).\n` +
      'Replication waits: after a failback, commit goes on with what came home.\n'
    );
  const turned = vms.filter(({ turnedAway }) => turnedAway).map(({ vm }) => vm);
  return turned.length === 0
    ? ''
    : `The DR copy of ${someOf(turned)} is of a line that was turned away from, and no failover takes it unasked: back up and restore.\n`;
}

const primaryNameLine = ({ vm, primaryVm }: VmSiteStatus): string =>
  primaryVm === undefined || primaryVm === vm
    ? ''
    : `${vm} is "${printable(primaryVm)}" at the primary site.\n`;

/** What protects a VM that runs at the recovery site: its DR copy is of before. */
function awayText({ plan, phase }: SiteStatus, { vm, awayCopy, runsAt }: VmSiteStatus): string {
  if (runsAt === 'primary' || runsAt === 'nowhere') return '';
  if (awayCopy !== undefined)
    return `${vm}: away, protected as of ${awayCopy.takenAt} (${secondsText(awayCopy.ageSeconds)} ago).\n`;
  return phase === 'failed-over'
    ? `${vm}: away, NOT protected: there is no copy of its instance. The plan's schedule makes one each round: lifeboat schedule create ${plan}\n`
    : '';
}

function lockText({ vm, drCopy, lockedCopy }: VmSiteStatus): string {
  if (lockedCopy !== undefined)
    return `${vm}: the DR copy of ${lockedCopy.takenAt} is locked until ${lockedCopy.until}.\n`;
  return drCopy === undefined
    ? ''
    : `${vm}: no DR copy is known to be locked. The next restore locks it, or says why not.\n`;
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
