import { Command } from 'commander';
import { type ChangedTtl } from '../../activities/aws-proxy/dns/contract';
import { mindText } from '../mind-text';
import { type CliContext } from '../io';
import { runCommand, type RunOptions } from '../run-command';
import { tableText } from '../table';
import { planRunCommand } from './run-options';

/** `dns check|lower-ttl|restore-ttl`: what can be known and done about a plan's records days before they move. */
export function dnsCommand(context: CliContext): Command {
  const dns = new Command('dns').description("look at a plan's DNS records, and lower their TTLs beforehand");
  dns.addCommand(
    planRunCommand('check', 'what a failover would do to the records, and what would be in its way').action(
      (plan: string, options: RunOptions) =>
        runCommand(
          context,
          {
            type: 'checkDnsRecords',
            command: 'dns check',
            text: ({ names, notes, zoneNotes }) =>
              tableText(
                ['record', 'TTL', 'at present'],
                names.map(({ name, ttl, present }) => [
                  name,
                  ttl === undefined ? '' : `${ttl} s`,
                  present.join('; ') || 'nothing',
                ]),
              ) +
              mindText([...notes, ...zoneNotes]) +
              'A failover can move these records.\n',
          },
          plan,
          options,
        ),
    ),
  );
  dns.addCommand(
    ttlCommand(context, {
      name: 'lower-ttl',
      about: "days before a failover: lower the records' TTLs to the plan's, and remember what they were",
      type: 'lowerDnsTtls',
      end: (changed, plan) =>
        changed.length === 0
          ? "No record has a higher TTL than the plan's.\n"
          : `Resolvers may keep what they have for ${Math.max(...changed.map(({ from }) => from))} s more. Back to what it was: lifeboat dns restore-ttl ${plan}\n`,
    }),
  );
  dns.addCommand(
    ttlCommand(context, {
      name: 'restore-ttl',
      about: 'give the records the TTLs back that they had before',
      type: 'restoreDnsTtls',
      end: (changed) =>
        changed.length === 0 ? 'No TTL was restored.\n' : 'The records have the TTLs that they had.\n',
    }),
  );
  return dns;
}

interface TtlCommand {
  name: string;
  about: string;
  type: 'lowerDnsTtls' | 'restoreDnsTtls';
  /** The last sentence. */
  end: (changed: ChangedTtl[], plan: string) => string;
}

function ttlCommand(context: CliContext, { name, about, type, end }: TtlCommand): Command {
  return planRunCommand(name, about).action((plan: string, options: RunOptions) =>
    runCommand(
      context,
      {
        ...{ type, command: `dns ${name}` },
        text: ({ changed, notes }) => ttlText(changed) + mindText(notes) + end(changed, plan),
      },
      plan,
      options,
    ),
  );
}

const ttlText = (changed: ChangedTtl[]): string =>
  changed.length === 0
    ? ''
    : tableText(
        ['record', 'type', 'TTL', 'before'],
        changed.map(({ name, type, setIdentifier, from, to }) => [
          name,
          setIdentifier === undefined ? type : `${type} (${setIdentifier})`,
          `${to} s`,
          `${from} s`,
        ]),
      );
