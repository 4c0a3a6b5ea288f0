import { Command } from 'commander';
import { awsClients } from '../../activities/aws-proxy/account/clients';
import { stsClient } from '../../activities/aws-proxy/account/single-clients';
import { type AwsCheck, checkAws } from '../../client/aws-check/check';
import { readExpected } from '../../client/aws-check/expected';
import { policiesWith } from '../../client/aws-check/policies';
import { type CheckedSite } from '../../client/aws-check/site';
import { CLIENT_ATTEMPTS, repositoryClient, repositoryOf } from '../../client/repository';
import { lineText, removalText, summaryText } from '../aws-check-text';
import { CliError, EXIT, type ExitCode } from '../exit-codes';
import { type CliContext, type CliIo, writeJson } from '../io';
import { configuredRepository, findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';
import { type CliSettings } from '../settings';

interface Options {
  withTestResources?: boolean;
  withLock?: boolean;
  hostedZone?: string;
  yes?: boolean;
  json?: boolean;
}

export function awsCommand(context: CliContext): Command {
  return new Command('aws')
    .description('what concerns the AWS account of the recovery site')
    .addCommand(checkCommand(context));
}

/** `aws check`: what a real account answers, before a plan relies on it. */
function checkCommand({ io, exit }: CliContext): Command {
  return new Command('check')
    .description('ask an AWS account what Lifeboat will ask of it; changes nothing unless told to')
    .argument(
      '[plan]',
      'path of a plan file, or name of a published plan; its subnets, zone and key are asked for, too',
    )
    .option(
      '--with-test-resources',
      'also make small snapshots, a volume, an image and objects, read them back, and remove all',
    )
    .option('--hosted-zone <id>', 'with test resources: also make a record in this zone, and remove it')
    .option('--with-lock', 'with test resources: also lock a snapshot (governance, one day), and unlock it')
    .option('--yes', 'make test resources without asking first')
    .option('--json', 'write one JSON document to stdout')
    .action(async (plan: string | undefined, options: Options) => {
      const settings = siteSettings(io);
      const site = await siteOf(io, plan, settings);
      if (options.withTestResources === true) await confirm(io, site, options);
      else if (options.hostedZone !== undefined || options.withLock === true)
        throw new CliError('--hosted-zone and --with-lock are for --with-test-resources.', EXIT.badInput);
      const found = await run(io, site, options);
      exit(exitCodeOf(found));
      if (options.json === true) writeJson(io, documentOf(found));
      else io.out(summaryText(found));
    });
}

async function run(io: CliIo, site: CheckedSite, options: Options): Promise<AwsCheck> {
  const stop = new AbortController();
  const ignore = io.onInterrupt(() => {
    io.err('\nStopping; what was made is removed first.\n');
    stop.abort();
  });
  const quiet = options.json === true;
  try {
    return await checkAws(site, {
      expected: readExpected(),
      signal: stop.signal,
      ...(options.withTestResources === undefined ? {} : { withTestResources: options.withTestResources }),
      ...(options.withLock === undefined ? {} : { withLock: options.withLock }),
      ...(options.hostedZone === undefined ? {} : { hostedZone: options.hostedZone }),
      onLine: (line) => {
        if (!quiet) io.out(lineText(line));
      },
      onRemovedBefore: (removal) => {
        if (!quiet) io.out(removalText('An earlier check had left', removal));
      },
    });
  } finally {
    ignore();
  }
}

async function siteOf(io: CliIo, argument: string | undefined, settings: CliSettings): Promise<CheckedSite> {
  const plan = argument === undefined ? undefined : (await findPlan(argument, settings, io.cwd)).plan;
  // What AWS_REGION says is a question, where there is a plan.
  const region = plan?.recoverySite.region ?? settings.region;
  if (region === undefined)
    throw new CliError('Set AWS_REGION to the Region of the recovery site, or give a plan.', EXIT.badInput);
  const repository = plan === undefined ? named(settings, region) : repositoryOf(plan);
  const address = { region, maxAttempts: CLIENT_ATTEMPTS };
  return {
    clients: { ...awsClients(address), sts: stsClient(address), s3: repositoryClient({ region }) },
    region,
    ...(settings.region === undefined ? {} : { configuredRegion: settings.region }),
    ...(plan === undefined ? {} : { plan }),
    ...(repository === undefined ? {} : { repository }),
  };
}

const named = ({ repository }: CliSettings, region: string): CheckedSite['repository'] =>
  repository === undefined ? undefined : configuredRepository(repository, region);

/** @throws CliError where nobody says yes */
async function confirm(io: CliIo, { region }: CheckedSite, { yes = false }: Options): Promise<void> {
  if (yes) return;
  if (io.ask === undefined)
    throw new CliError('Nothing was made, as nobody can be asked here; add --yes.', EXIT.badInput);
  const answer = await io.ask(
    `This makes some snapshots, a volume, an image and objects in ${region}, and removes them; it costs about a cent. Type yes: `,
  );
  if (answer.trim().toLowerCase() !== 'yes') throw new CliError('Nothing was made.', EXIT.failed);
}

/** What is in the way is worse than what is left, and that worse than what differs. */
function exitCodeOf({ lines, after, stopped }: AwsCheck): ExitCode {
  const has = (verdict: string): boolean => lines.some((line) => line.verdict === verdict);
  if (lines.some(({ question, verdict }) => question === 'sts.identity' && verdict !== 'ok'))
    return EXIT.cannotConnect;
  if (has('refused') || has('unreachable')) return EXIT.notReady;
  if (stopped || (after?.left.length ?? 0) > 0) return EXIT.failed;
  return has('differs') ? EXIT.readyWithWarnings : EXIT.ok;
}

function documentOf(found: AwsCheck): object {
  return {
    command: 'aws check',
    ok: exitCodeOf(found) === EXIT.ok,
    stopped: found.stopped,
    answers: found.lines.map(({ verdict, question, about, action, detail, seconds }) => ({
      verdict,
      question,
      about,
      action: action ?? null,
      policies: verdict === 'refused' && action !== undefined ? policiesWith(action) : null,
      detail: detail ?? null,
      seconds: seconds ?? null,
    })),
    differences: found.differences,
    removedBefore: found.before ?? null,
    removed: found.after ?? null,
    costAtMost: found.cost ?? null,
  };
}
