import { type Command, Option } from 'commander';
import { type OnFailure } from '../../workflows/run/attention';
import { bootScriptsText, consolesText, warningsText } from '../guest-text';
import { type CliContext } from '../io';
import { secondsText } from '../numbers';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { onFailureOption, planRunCommand } from './run-options';

type FailoverOptions = RunOptions & { test?: boolean; planned?: boolean; onFailure: OnFailure };

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
      onFailureOption(
        'where a person has to mend something: wait for it, or take all back (as a test does always)',
      ),
    )
    .action((plan: string, options: FailoverOptions) => {
      const mode = options.test === true ? 'test' : options.planned === true ? 'planned' : 'disaster';
      return runCommand(
        context,
        {
          type: 'failover',
          mode,
          more: { mode, onFailure: options.onFailure },
          text: ({ plan: name, vms, rpoSeconds, rtoSeconds, downtimeSeconds, removed, fence, notes = [] }) =>
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
            notes.map((note) => `Mind: ${note}\n`).join('') +
            (downtimeSeconds === undefined
              ? `RPO ${secondsText(rpoSeconds)}, RTO ${secondsText(rtoSeconds)}\n`
              : `Nothing was lost. Out of service for ${secondsText(downtimeSeconds)}, ${secondsText(rtoSeconds)} in all. The VMs at the primary site are off.\n`) +
            (fence === undefined
              ? ''
              : `The VMs at the primary site are kept off, as soon as it answers: lifeboat fence ${plan}\n`) +
            (mode === 'test' ? `The test is over; ${removed.length} resources were removed.\n` : ''),
        },
        plan,
        options,
      );
    });
}
