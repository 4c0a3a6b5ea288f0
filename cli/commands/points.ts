import { Command } from 'commander';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { pointsOf, type PlanPoints, type VmPoint } from '../../client/points';
import { CLIENT_ATTEMPTS } from '../../client/repository';
import { type CliContext, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';
import { tableText } from '../table';

/** `points PLAN`: the recovery points that a failover may go to. Asks the two sites, not Temporal. */
export function pointsCommand({ io }: CliContext): Command {
  return new Command('points')
    .description('list the recovery points that a failover may go to (failover --at, failover --point)')
    .argument('<plan>', 'path of a plan file, or name of a published plan')
    .option('--json', 'write one JSON document to stdout')
    .action(async (argument: string, options: { json?: boolean }) => {
      const { plan, digest, store } = await findPlan(argument, siteSettings(io), io.cwd);
      const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
      const points = await pointsOf(plan, { ec2, store });
      if (options.json === true) writeJson(io, { command: 'points', ok: true, digest, ...points });
      else io.out(pointsText(points));
    });
}

/** The points of each VM, then those of the plan as a whole, the newest first. */
export function pointsText({ plan, vms, rounds, chosen }: PlanPoints): string {
  const rows = vms.flatMap(({ vm, points }) =>
    points.length === 0
      ? [[vm, 'none', '', '', '', '', '']]
      : points.map((point, n) => [
          n === 0 ? vm : '',
          point.id,
          point.takenAt,
          point.kind,
          point.consistency,
          point.keptBy.length === 0 ? 'the next pruning retires it' : point.keptBy.join(', '),
          [
            point.inDrCopy ? 'in the DR copy' : '',
            olderCopyText(point),
            point.turnedAway ? 'turned away from' : '',
          ]
            .filter((part) => part !== '')
            .join(', '),
        ]),
  );
  return (
    tableText(['VM', 'recovery point', 'taken at', 'kind', 'consistency', 'kept by', ''], rows) +
    '\nThe plan as a whole:\n' +
    tableText(
      ['--at', 'VMs', 'from', ''],
      rounds.map(({ at, from, vms: count, turnedAway }) => [
        at,
        `${count} of ${vms.length}`,
        from,
        turnedAway ? 'turned away from: by --point only' : '',
      ]),
    ) +
    (chosen === null
      ? ''
      : `The failover of ${plan} went to --at ${chosen.after}: what was backed up after it is of the line that was turned away from.\n`)
  );
}

function olderCopyText({ olderDrCopy }: VmPoint): string {
  if (olderDrCopy === undefined) return '';
  const { lockedUntil } = olderDrCopy;
  return lockedUntil === null ? 'in an older DR copy' : `in a DR copy locked until ${lockedUntil}`;
}
