import { Command, InvalidArgumentError, Option } from 'commander';
import { type DataCentre } from '../../sandbox/config';
import { openE2eSandbox } from '../support/e2e-sandbox';
import { removeSystemDisks } from './guests';
import { type BatchReport, PLANS, runBatch } from './batch';
import { WANTED_SHARE } from './launch-copies';
import { LICENSED_SHARE } from './licensed-images';
import { type LaunchCounts } from './launch-copy-watch';
import { type LockCounts } from './lock-watch';
import { LOCK_DAY, LOCKED_SHARE } from './locks';
import { OLDER_SHARE } from './older-points';
import { RETURN_SHARE } from './power-returns';
import { SeededRandom } from './random';
import { wholeNumber } from './whole-number';

/** Seconds. The SDK asks for the next one five minutes before a session ends: here, every half minute. */
const SESSION = 330;

interface Options {
  runs: number;
  seed: number;
  only?: number;
  dataCentre: DataCentre;
  plans: number;
  launchCopies: number;
  licensedImages: number;
  olderPoints: number;
  locks: number;
  powerReturns: number;
  json?: boolean;
}

const share = (text: string): number => {
  const number = Number(text);
  if (!(number >= 0 && number <= 1)) throw new InvalidArgumentError('It must be a number from 0 to 1.');
  return number;
};

/** `npm run chaos`: batches until so many runs have ended. @returns the exit code */
async function main(): Promise<number> {
  const options = new Command('npm run chaos --')
    .description(
      'kills processes and lets AWS fail while plans are backed up, restored, failed over and back',
    )
    .option('--runs <n>', 'runs of workflows to drive to their end, at least', wholeNumber, 50)
    .option('--seed <n>', 'what everything is drawn from', wholeNumber, Math.floor(Math.random() * 1e6))
    .option('--only <n>', 'one batch, by the seed that a failure named')
    .addOption(
      new Option('--data-centre <which>', 'what runs the VMs')
        .choices(['local', 'vsphere'] as const)
        .default('local' as const),
    )
    .option(
      '--plans <n>',
      'plans on their way at once: fewer on a machine that is busy with others',
      wholeNumber,
      PLANS,
    )
    .option('--launch-copies <share>', 'share of the plans that want launch copies', share, WANTED_SHARE)
    .option(
      '--licensed-images <share>',
      'share of the plans whose VMs are launched from a licensed image',
      share,
      LICENSED_SHARE,
    )
    .option(
      '--older-points <share>',
      'share of the failovers to an older recovery point, among those that have one',
      share,
      OLDER_SHARE,
    )
    .option('--locks <share>', 'share of the plans whose DR copies are locked', share, LOCKED_SHARE)
    .option(
      '--power-returns <share>',
      'share of the data centres that come back while the application is away, among those that survive',
      share,
      RETURN_SHARE,
    )
    .option('--json', 'the last line is the result as JSON')
    .parse()
    .opts<Options>();
  const seeds = new SeededRandom(options.seed);
  const say = (line: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
  say(`seed ${options.seed}: bringing a sandbox up in which nothing boots`);
  const sandbox = await openE2eSandbox('chaos', {
    ...{ runner: 'no-boot', application: 'none', pace: 'quick' },
    dataCentre: options.dataCentre,
    times: { lockDay: LOCK_DAY, session: SESSION },
  });
  const reports: BatchReport[] = [];
  const runs = (): number => reports.reduce((sum, report) => sum + report.runs, 0);
  try {
    do {
      const seed = options.only === undefined ? seeds.whole(1, 9_999_999) : Number(options.only);
      say(`batch of seed ${seed}`);
      const report = await runBatch(
        sandbox,
        seed,
        (line) => say(`  ${line}`),
        options.plans,
        options.launchCopies,
        options.licensedImages,
        options.olderPoints,
        options.locks,
        options.powerReturns,
      );
      reports.push(report);
      for (const { kind, what } of report.violations) say(`BROKEN (${kind}), seed ${seed}: ${what}`);
      say(`${runs()} runs; this batch: ${report.runs} runs, ${report.kills} kills, ${report.faults} faults`);
      // What is broken would be found by every batch after it.
      if (report.violations.length > 0) break;
    } while (options.only === undefined && runs() < options.runs);
  } finally {
    removeSystemDisks();
    const broken = reports.some(({ violations }) => violations.length > 0);
    await sandbox.close({ keep: broken });
    if (broken) say(`its state and logs are in ${sandbox.config.directory}; replay with --only and the seed`);
  }
  const count = (kind: string): number =>
    reports.flatMap(({ violations }) => violations).filter((violation) => violation.kind === kind).length;
  const sum = (
    what:
      'runs' | 'kills' | 'faults' | 'olderPoints' | 'powerReturns' | keyof LaunchCounts | keyof LockCounts,
  ): number => reports.reduce((total, one) => total + one[what], 0);
  const result = {
    runs: sum('runs'),
    kills: sum('kills'),
    faults: sum('faults'),
    launchCopiesMade: sum('launchCopiesMade'),
    launchedByCopy: sum('launchedByCopy'),
    launchedByVolumes: sum('launchedByVolumes'),
    launchedFromLicensed: sum('launchedFromLicensed'),
    olderPoints: sum('olderPoints'),
    locksMade: sum('locksMade'),
    locksRefused: sum('locksRefused'),
    lockedOlder: sum('lockedOlder'),
    powerReturns: sum('powerReturns'),
    lost: count('lost'),
    orphans: count('orphan'),
    corrupt: count('corrupt'),
    unfenced: count('unfenced'),
    failedSeeds: reports.filter(({ violations }) => violations.length > 0).map(({ seed }) => seed),
  };
  const { failedSeeds, ...counts } = result;
  console.log(
    options.json
      ? JSON.stringify(result)
      : `${Object.entries(counts)
          .map(([name, value]) => `${value} ${name}`)
          .join(', ')}${failedSeeds.length > 0 ? `; failed seeds: ${failedSeeds.join(', ')}` : ''}`,
  );
  return failedSeeds.length > 0 ? 1 : 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
