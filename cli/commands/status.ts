import { Command } from 'commander';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { CLIENT_ATTEMPTS } from '../../client/repository';
import { lifeboatClient } from '../../client/client';
import { type RunUnderWay, runsUnderWay } from '../../client/runs-under-way';
import { siteStatus, type SiteStatus, type VmSiteStatus } from '../../client/site-status';
import { printable } from '../../plan/printable';
import { windowText } from '../../plan/daily-window';
import { awaitedText, pausedText } from '../decision-text';
import { explainError } from '../explain-error';
import { type CliContext, writeJson } from '../io';
import { guestText, notesText } from '../guest-text';
import { bytesText, secondsText } from '../numbers';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';
import { tableText } from '../table';

/** `status PLAN`: DR copies and where the VMs run, from the two sites alone. */
export function statusCommand({ io }: CliContext): Command {
  return new Command('status')
    .description(
      'show the DR copies, where each VM runs, and what runs wait for; all but that without Temporal',
    )
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, options: { json?: boolean }) => {
      const settings = siteSettings(io);
      const { plan, digest, store } = await findPlan(argument, settings, io.cwd);
      const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
      const [status, runs] = await Promise.all([
        siteStatus(plan, { ec2, store }),
        runsOf(plan.name, settings.sandboxFile !== undefined),
      ]);
      if (options.json === true)
        writeJson(io, {
          ...statusDocument(status, digest),
          runs: typeof runs === 'string' ? null : runs.map(runDocument),
        });
      else io.out(statusText(status, plan.replication.launchCopy === true) + runsText(runs, argument));
    });
}

/** Seconds for which Temporal is asked: the sites alone tell where the application runs, and nobody waits for Temporal then. */
const TEMPORAL_SECONDS = 2;

/** @returns why they are not known, where Temporal does not tell: the sites' answer is there all the same */
async function runsOf(plan: string, ignoreConfigurationFile: boolean): Promise<RunUnderWay[] | string> {
  try {
    const client = await lifeboatClient({ ignoreConfigurationFile, connectSeconds: TEMPORAL_SECONDS });
    try {
      return await runsUnderWay(client, plan);
    } finally {
      await client.close();
    }
  } catch (error) {
    return explainError(error).message;
  }
}

function runDocument({ type, mode, workflowId, runId, status }: RunUnderWay) {
  return {
    ...{ type, test: mode === 'test', workflowId, runId },
    phase: status?.phase ?? null,
    needsAttention: status?.needsAttention ?? null,
    awaited: status?.awaited ?? [],
    paused: status?.paused ?? null,
  };
}

/** What goes on, and for whom it waits. @param plan as the person named it */
export function runsText(runs: RunUnderWay[] | string, plan: string): string {
  if (typeof runs === 'string') return `What runs are doing is not known: ${runs}\n`;
  return runs
    .map(({ type, mode, workflowId, status }) => {
      const test = mode === 'test' ? ' --test' : '';
      const lines = [`${workflowId}: ${status?.phase ?? 'no control worker answers'}`];
      if (status?.needsAttention === true)
        lines.push(`Needs attention: lifeboat ${type}${test} ${plan} shows it.`);
      for (const awaited of status?.awaited ?? []) lines.push(awaitedText(awaited, `${plan}${test}`));
      if (status?.paused !== undefined) lines.push(pausedText(status.paused, `${plan}${test}`));
      return lines.map((line) => `${printable(line)}\n`).join('');
    })
    .join('');
}

/** The document of `status --json`; absent values are null, so that every field is always there. */
export function statusDocument(status: SiteStatus, digest: string) {
  return {
    command: 'status',
    ok: true,
    plan: status.plan,
    digest,
    phase: status.phase,
    generation: status.generation,
    since: status.since ?? null,
    closedWindow: status.closedWindow ?? null,
    vms: status.vms.map(({ vm, runsAt, drCopy, launchCopy, backup, guest, instance }) => ({
      vm,
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
    })),
  };
}

const RUNS_AT_WORDS = {
  primary: 'primary site',
  recovery: 'recovery site',
  moving: 'being moved',
  nowhere: 'nowhere: the failover left it out',
};

/** @param wantsLaunchCopies whether the plan does, so that a VM without one is told of */
export function statusText(status: SiteStatus, wantsLaunchCopies = false): string {
  const phase = status.phase === 'none' ? 'never replicated' : `${status.phase} since ${status.since}`;
  const { closedWindow } = status;
  return (
    `Plan ${status.plan}: ${phase} (generation ${status.generation})\n` +
    (closedWindow === undefined
      ? ''
      : `Scheduled backups begin ${windowText(closedWindow)} only; the next may at ${closedWindow.opensAt}.\n`) +
    tableText(
      ['VM', 'runs at', 'disk', 'size', 'snapshot', 'recovery point', 'age'],
      status.vms.flatMap((vm) => vmRows(vm)),
    ) +
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
