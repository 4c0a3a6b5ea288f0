import { type Command, Option } from 'commander';
import { INSTANT_FORM, parseInstant } from '../../plan/instant';
import { type ChosenLine, type PointChoice } from '../../plan/lines';
import { printable } from '../../plan/printable';
import { type FindingCode, FORCEABLE, isForceable } from '../../plan/readiness';
import { type OnFailure } from '../../workflows/run/attention';
import { CliError, EXIT } from '../exit-codes';
import { bootScriptsText, consolesText, warningsText } from '../guest-text';
import { approvalsText, leftOutText } from '../decision-text';
import { hookExitCode, hooksText } from '../hook-text';
import { keepSeconds, tellCost } from '../test-options';
import { byOption } from '../deciding';
import { evidenceLine } from '../evidence-text';
import { mindText } from '../mind-text';
import { type CliContext } from '../io';
import { secondsText } from '../numbers';
import { measuredText } from '../objectives-text';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { type FailoverSummary } from '../../workflows/failover';
import { type FailoverMode } from '../../workflows/run/ids';
import { onFailureOption, planRunCommand } from './run-options';

type FailoverOptions = RunOptions &
  PointChoice & {
    test?: boolean;
    planned?: boolean;
    onFailure: OnFailure;
    approveAll?: string;
    keep?: number;
    vm?: string[];
    by: string;
    force?: string;
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
    .addOption(
      new Option(
        '--keep <time>',
        'of a test: it stays up when it is ready, such as 4h, until then or until lifeboat test end; the command returns when it is ready',
      )
        .argParser(keepSeconds)
        .conflicts('planned'),
    )
    .addOption(
      new Option(
        '--vm <name>',
        'of a test: of this VM, and what it depends on, only; may be said several times',
      )
        .argParser((name: string, before: string[] | undefined) => [...(before ?? []), name])
        .conflicts('planned'),
    )
    .addOption(byOption())
    .option(
      '--force <codes>',
      `go on although that is wrong, codes of the check with commas between: ${FORCEABLE.join(', ')}; what was overridden is told`,
    )
    .action((plan: string, options: FailoverOptions) => {
      const { approveAll: why, by, at, point } = options;
      const force = options.force === undefined ? undefined : forcedCodes(options.force);
      if (at !== undefined && parseInstant(at) === undefined)
        throw new CliError(`--at must be ${INSTANT_FORM}, not ${JSON.stringify(at)}.`, EXIT.badInput);
      const choice = { ...(at === undefined ? {} : { at }), ...(point === undefined ? {} : { point }) };
      requireOfTest(options);
      const { keep, vm: vms } = options;
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
            ...(force === undefined ? {} : { force }),
            ...(keep === undefined ? {} : { keep }),
            ...(vms === undefined ? {} : { vms }),
          },
          choice,
          ...(vms === undefined ? {} : { part: vms }),
          atBegin: [
            ...(why === undefined ? [] : ['--approve-all']),
            ...(force === undefined ? [] : ['--force']),
            ...(keep === undefined ? [] : ['--keep']),
          ],
          ...(mode === 'test'
            ? { beforeStart: ({ plan }) => tellCost(context.io, plan, { keep, vms }, options.json) }
            : {}),
          exitCode: ({ leftOut = [], hooks }) =>
            leftOut.length > 0 ? EXIT.doneWithout : hookExitCode(hooks),
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
            overriddenText(more.overridden) +
            approvalsText(more.approvals) +
            leftOutText(more.leftOut) +
            hooksText(more.hooks) +
            partText(more.part) +
            (downtimeSeconds === undefined
              ? `RPO ${secondsText(rpoSeconds)}, RTO ${secondsText(rtoSeconds)}\n`
              : `Nothing was lost. Out of service for ${secondsText(downtimeSeconds)}, ${secondsText(rtoSeconds)} in all. The VMs at the primary site are off.\n`) +
            measuredText(more.objectives) +
            chosenText(name, mode, more.chosen) +
            (more.fence === undefined
              ? ''
              : `The VMs at the primary site are kept off, as soon as it answers: lifeboat fence ${plan}\n`) +
            (mode === 'test' ? testEndText(plan, removed, more.kept) : '') +
            evidenceLine(name, more),
        },
        plan,
        options,
      );
    });
}

/** @throws CliError naming the code that cannot be forced */
function forcedCodes(text: string): FindingCode[] {
  return text.split(',').map((code) => {
    if (!isForceable(code))
      throw new CliError(
        `--force takes ${FORCEABLE.join(', ')}, with commas between, not ${JSON.stringify(code)}.`,
        EXIT.badInput,
      );
    return code as FindingCode;
  });
}

const overriddenText = (overridden: readonly string[] = []): string =>
  overridden.map((text) => `Overridden by --force: ${printable(text)}\n`).join('');
/** A test that stays up is told how to end it; one that is over, what became of it. @param plan as the person named it */
function testEndText(plan: string, removed: string[], kept: FailoverSummary['kept']): string {
  if (kept !== undefined && kept.endedAt === undefined)
    return `The test is kept until ${kept.until}; then all of it is removed. To end it before: lifeboat test end ${plan}\n`;
  const ended =
    kept === undefined
      ? ''
      : kept.endedBy === undefined
        ? `It was kept until ${kept.endedAt}. `
        : `${kept.endedBy.by} ended it at ${kept.endedAt} (${kept.endedBy.why}). `;
  return `The test is over. ${ended}${removed.length} resources were removed.\n`;
}

const partText = (part: string[] | undefined): string =>
  part === undefined
    ? ''
    : `This was a part of the plan: ${part.join(', ')}. It does not show that the whole plan comes up.\n`;

function requireOfTest({ test, keep, vm, planned }: FailoverOptions): void {
  if (test === true || (keep === undefined && vm === undefined)) return;
  throw new CliError(
    `${keep === undefined ? '--vm' : '--keep'} is of a test failover; add --test${planned === true ? ' instead of --planned' : ''}.`,
    EXIT.badInput,
  );
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
