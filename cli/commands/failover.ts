import { type Command, Option } from 'commander';
import { INSTANT_FORM, parseInstant } from '../../plan/instant';
import { type ChosenLine, type PointChoice } from '../../plan/lines';
import { type OnFailure } from '../../workflows/run/attention';
import { CliError, EXIT } from '../exit-codes';
import { bootScriptsText, consolesText, warningsText } from '../guest-text';
import { approvalsText, leftOutText } from '../decision-text';
import { byOption } from '../deciding';
import { mindText } from '../mind-text';
import { type CliContext } from '../io';
import { secondsText } from '../numbers';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { type FailoverMode } from '../../workflows/run/ids';
import { onFailureOption, planRunCommand } from './run-options';

type FailoverOptions = RunOptions &
  PointChoice & {
    test?: boolean;
    planned?: boolean;
    onFailure: OnFailure;
    approveAll?: string;
    by: string;
  };

export function failoverCommand(context: CliContext): Command {
  return planRunCommand('failover', "bring the plan's application up on EC2 and move its DNS records there")
    .addOption(
      new Option('--test', 'in the test subnet, without DNS; everything is removed afterwards').conflicts(
        'planned',
      ),
    )
    .option(
      '--planned',
      'shut the VMs down at the primary site first, and replicate what they wrote: nothing is lost; started there again where it fails',
    )
    .addOption(
      new Option(
        '--at <time>',
        'go to an older recovery point: of each VM the newest backup of that instant or before (2026-11-30T09:15:00Z)',
      ).conflicts(['planned', 'point']),
    )
    .addOption(
      new Option(
        '--point <id>',
        'go to that backup, and of the other VMs to what the same run backed up, else to the newest of its instant or before',
      ).conflicts(['planned', 'at']),
    )
    .addOption(
      onFailureOption(
        'where a person has to mend something: wait for it, or take all back (as a test does always)',
      ),
    )
    .option(
      '--approve-all <reason>',
      'approve beforehand all that the plan wants approved, a test or not; the reason is kept with the run',
    )
    .addOption(byOption())
    .action((plan: string, options: FailoverOptions) => {
      const { approveAll: why, by, at, point } = options;
      if (at !== undefined && parseInstant(at) === undefined)
        throw new CliError(`--at must be ${INSTANT_FORM}, not ${JSON.stringify(at)}.`, EXIT.badInput);
      const choice = { ...(at === undefined ? {} : { at }), ...(point === undefined ? {} : { point }) };
      const mode = options.test === true ? 'test' : options.planned === true ? 'planned' : 'disaster';
      return runCommand(
        context,
        {
          type: 'failover',
          mode,
          more: {
            mode,
            onFailure: options.onFailure,
            ...choice,
            ...(why === undefined ? {} : { approveAll: { by, why } }),
          },
          choice,
          atBegin: why === undefined ? [] : ['--approve-all'],
          exitCode: ({ leftOut = [] }) => (leftOut.length > 0 ? EXIT.doneWithout : EXIT.ok),
          text: ({ plan: name, vms, rpoSeconds, rtoSeconds, downtimeSeconds, removed, ...more }) =>
            tableText(
              [
                'VM',
                'instance',
                'type',
                'private address',
                'public address',
                'recovery point',
                'ready after',
              ],
              vms.map((vm) => [
                vm.vm,
                vm.instanceId,
                vm.instanceType,
                vm.privateAddress,
                vm.publicAddress ?? '',
                vm.takenAt,
                secondsText(vm.readySeconds),
              ]),
            ) +
            warningsText(vms) +
            bootScriptsText(vms) +
            consolesText(name, vms) +
            mindText(more.notes) +
            approvalsText(more.approvals) +
            leftOutText(more.leftOut) +
            (downtimeSeconds === undefined
              ? `RPO ${secondsText(rpoSeconds)}, RTO ${secondsText(rtoSeconds)}\n`
              : `Nothing was lost. Out of service for ${secondsText(downtimeSeconds)}, ${secondsText(rtoSeconds)} in all. The VMs at the primary site are off.\n`) +
            chosenText(name, mode, more.chosen) +
            (more.fence === undefined
              ? ''
              : `The VMs at the primary site are kept off, as soon as it answers: lifeboat fence ${plan}\n`) +
            (mode === 'test' ? `The test is over; ${removed.length} resources were removed.\n` : ''),
        },
        plan,
        options,
      );
    });
}

/** What a failover to chosen recovery points means from now on; nothing of one that took what the DR copies hold. */
function chosenText(plan: string, mode: FailoverMode, chosen: ChosenLine | undefined): string {
  if (chosen === undefined) return '';
  const points = `The recovery points were chosen (${chosen.point === undefined ? `--at ${chosen.at}` : `--point ${chosen.point}`}); the latest is of ${chosen.after}.\n`;
  return mode === 'test'
    ? points
    : `${points}Backups that were taken later are of the line that you have turned away from: they stay (lifeboat points ${plan}), but nothing takes ` +
        'them for the newest. The DR copies stay what they are. Replication goes on with what comes home, once its failback is committed.\n';
}
