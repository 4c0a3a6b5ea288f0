import { type LeftOutVm } from '../workflows/leaving-out';
import { awsName } from '../workflows/run/asker';
import {
  type Approval,
  type Asker,
  type AwaitedApproval,
  type Decision,
  type Gate,
} from '../workflows/run/messages';

/** What of `lifeboat approve` names a gate. */
export function gateOption(gate: Gate): string {
  if ('vm' in gate) return `--vm ${gate.vm}`;
  if ('tier' in gate) return `--tier ${gate.tier}`;
  return 'dns' in gate ? '--dns' : '--cut-over';
}

/** Who asked, and as whom AWS and Temporal know the one who did. */
export const askerText = ({
  by,
  as,
  authenticatedAs,
}: Partial<Asker> & { authenticatedAs?: string }): string =>
  [
    ...(by === undefined ? [] : [by]),
    ...(as === undefined ? [] : [`to AWS ${as}`]),
    ...(authenticatedAs === undefined ? [] : [`authenticated by Temporal as ${authenticatedAs}`]),
  ].join(', ');

/** @param plan as a person names it */
export const awaitedText = ({ gate, answer, what, since }: AwaitedApproval, plan: string): string =>
  `${gate} waits for approval since ${since}, to ${what}: lifeboat approve ${plan} ${gateOption(answer)} --reason TEXT`;

/** @param plan as a person names it */
export const pausedText = ({ why, at, ...asker }: Decision, plan: string): string =>
  `Paused since ${at} by ${askerText(asker)}: ${why}. No further VM boots, and DNS does not move, until: lifeboat resume ${plan} --reason TEXT`;

/** VMs that a failover went on without, a line each. */
export const leftOutText = (leftOut: readonly LeftOutVm[] = []): string =>
  leftOut
    .map(({ vm, because, by, as, why, dnsRecords = [], notRemoved }) => {
      const records = dnsRecords.length === 0 ? '' : ` Not moved: ${dnsRecords.join(', ')}.`;
      const rest =
        notRemoved === undefined
          ? ''
          : ` What was made for it may still be there (${notRemoved}); "lifeboat commit" removes it.`;
      return because === 'skipped'
        ? `Without ${vm}: skipped by ${by === undefined ? 'nobody who said so' : askerText({ by, ...awsName({ as }) })} (${why}).${records}${rest}\n`
        : `Without ${vm}, which is optional: ${why}${why.endsWith('.') ? '' : '.'}${records}${rest}\n`;
    })
    .join('');

/** What people approved, a line each. */
export const approvalsText = (approvals: readonly Approval[] = []): string =>
  approvals
    .map(({ gate, why, at, ...asker }) => `Approved: ${gate}, by ${askerText(asker)} at ${at} (${why})\n`)
    .join('');
