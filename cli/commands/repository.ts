import { Command } from 'commander';
import { heldBackups } from '../../activities/aws-proxy/restore/held-backups';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { CLIENT_ATTEMPTS } from '../../client/repository';
import { listBackups, readManifest } from '../../repository/backups/backups';
import { check, type Checked } from '../../repository/upkeep/check';
import { collect } from '../../repository/upkeep/collection';
import { InvalidNameError } from '../../repository/objects/keys';
import { type BackupManifest } from '../../repository/backups/manifest';
import { retentionPolicies } from '../../repository/plans/plans';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, type CliIo, writeJson } from '../io';
import { findPlan, type PlanArgument } from '../plan-argument';
import { progressView } from '../progress-view';
import { checkText, listText, pruneText } from '../repository-text';
import { runCommand, siteSettings } from '../run-command';

interface Options {
  json?: boolean;
}
interface CheckOptions extends Options {
  vm?: string;
  readData?: boolean;
}
interface PruneOptions extends Options {
  dryRun?: boolean;
  wait: boolean;
}

/** `repository list|check|prune`: what the backup repository holds. List, check and a dry run ask the sites alone. */
export function repositoryCommand(context: CliContext): Command {
  const { io, exit } = context;
  const repository = new Command('repository').description('look after the backups of a plan');

  subcommand('list', 'show the recovery points that the repository holds').action(
    async (argument: string, options: Options) => {
      const { plan, digest, store } = await findPlan(argument, siteSettings(io), io.cwd);
      const vms: { vm: string; recoveryPoints: BackupManifest[] }[] = [];
      for (const { name: vm } of plan.vms) {
        const recoveryPoints: BackupManifest[] = [];
        for (const id of await listBackups(store, vm)) {
          const manifest = await readManifest(store, vm, id);
          if (manifest !== undefined) recoveryPoints.push(manifest);
        }
        vms.push({ vm, recoveryPoints });
      }
      if (options.json === true) writeJson(io, listDocument(plan.name, digest, vms));
      else io.out(listText(vms));
    },
  );

  subcommand('check', 'find damaged and missing objects, and the recovery points that suffer')
    .option('--vm <name>', 'check the backups of this VM only; it need not be in the plan any more')
    .option('--read-data', 'read and verify every stored block, too')
    .action(async (argument: string, options: CheckOptions) => {
      const found = await findPlan(argument, siteSettings(io), io.cwd);
      const checked = await checkVms(io, found, options);
      const ok = checked.every(({ damages }) => damages.length === 0);
      if (options.json === true)
        writeJson(io, {
          command: 'repository check',
          ok,
          plan: found.plan.name,
          digest: found.digest,
          readData: options.readData === true,
          vms: checked.map((vm) => ({
            ...vm,
            recoveryPoints: vm.recoveryPoints.map((point) => ({ ...point, takenAt: point.takenAt ?? null })),
          })),
        });
      else io.out(checkText(checked, options.readData === true));
      if (!ok) exit(EXIT.failed);
    });

  subcommand('prune', 'remove the backups that no retention policy keeps, and what nothing needs')
    .option('--dry-run', 'show what would go, and change nothing')
    .option('--no-wait', 'start the run and return')
    .action(async (argument: string, options: PruneOptions) => {
      if (options.dryRun === true) return dryRun(io, argument, options);
      return runCommand(
        context,
        { type: 'prune', command: 'repository prune', text: ({ vms }) => pruneText(vms, false) },
        argument,
        options,
      );
    });
  return repository;

  function subcommand(name: string, description: string): Command {
    return repository
      .command(name)
      .description(description)
      .argument('<plan>', 'path of a plan file, or name of a published plan')
      .option('--json', 'write one JSON document to stdout');
  }
}

async function checkVms(io: CliIo, { plan, store }: PlanArgument, options: CheckOptions): Promise<Checked[]> {
  const view = progressView(io);
  const checked: Checked[] = [];
  const stop = new AbortController();
  const ignore = io.onInterrupt(() => stop.abort(new CliError('The check was interrupted.', EXIT.failed)));
  try {
    for (const vm of options.vm === undefined ? plan.vms.map(({ name }) => name) : [options.vm]) {
      const result = await check({
        store,
        vm,
        readData: options.readData === true,
        signal: stop.signal,
        onProgress: (copy) => view.update({ running: true, status: undefined, copies: [copy], retries: [] }),
      });
      if (options.vm !== undefined && result.recoveryPoints.length === 0 && result.damages.length === 0)
        throw new CliError(`The backup repository has no backup of a VM "${vm}".`, EXIT.badInput);
      checked.push(result);
    }
  } catch (error) {
    if (error instanceof InvalidNameError) throw new CliError(error.message, EXIT.badInput);
    throw error;
  } finally {
    ignore();
    view.close();
  }
  return checked;
}

async function dryRun(io: CliIo, argument: string, options: PruneOptions): Promise<void> {
  const { plan, digest, store } = await findPlan(argument, siteSettings(io), io.cwd);
  const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
  const vms = [];
  for (const { name: vm } of plan.vms)
    vms.push(
      await collect({
        store,
        vm,
        policies: [plan.repository.retention, ...(await retentionPolicies(store, vm))],
        heldBackups: () => heldBackups(ec2, vm),
        beforeChange: () => Promise.reject(new Error('A dry run changes nothing.')),
        sweep: 'now',
        dryRun: true,
        signal: new AbortController().signal,
      }),
    );
  if (options.json === true)
    writeJson(io, { command: 'repository prune', ok: true, plan: plan.name, digest, dryRun: true, vms });
  else io.out(pruneText(vms, true));
}

function listDocument(
  plan: string,
  digest: string,
  vms: { vm: string; recoveryPoints: BackupManifest[] }[],
): object {
  return {
    command: 'repository list',
    ok: true,
    plan,
    digest,
    vms: vms.map(({ vm, recoveryPoints }) => ({
      vm,
      recoveryPoints: recoveryPoints.map(
        ({ backupId, takenAt, consistency, notes, excludedDisks, previous, disks }) => ({
          backupId,
          takenAt,
          consistency,
          notes: notes ?? [],
          excludedDisks: excludedDisks ?? [],
          previous: previous ?? null,
          disks: disks.map(({ key, sizeBytes, dataBlocks, storedBlocks, storedBytes }) => ({
            key,
            sizeBytes,
            dataBlocks,
            storedBlocks,
            storedBytes,
          })),
        }),
      ),
    })),
  };
}
