import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { untilAborted } from '../../blocks/until-aborted';
import { messageOf } from '../../host/message-of';
import { projectRoot } from '../../host/project-root';
import { temporalMembers } from '../../sandbox/cluster/members';
import { postgresqlVersion } from '../../sandbox/cluster/postgresql';
import { temporalVersion } from '../../sandbox/cluster/temporal';
import { workersOf } from '../../sandbox/cluster/workers';
import { leaveOtherSites } from '../../sandbox/demo/environment';
import { onInterruption } from '../../sandbox/demo/interruption';
import { narration, type Narration } from '../../sandbox/demo/narration';
import { type DemoReport, emptyReport, reportTable } from '../../sandbox/demo/report';
import { sandboxDown } from '../../sandbox/lifecycle';
import { wholeNumber } from '../chaos/whole-number';
import { runChaosOnCluster, type ChaosReport } from './chaos';
import { tellStoryOnCluster } from './story';

interface Options {
  seed: number;
  runs: number;
  plans: number;
  story: boolean;
  chaos: boolean;
  json?: boolean;
}

/** What `npm run cluster -- --json` prints last. */
interface ClusterReport {
  ok: boolean;
  temporal: string;
  postgresql: string;
  /** Absent where it was left out. */
  story?: DemoReport;
  chaos?: ChaosReport;
  seconds: number;
  /** Why it is not ok. */
  error?: string;
}

/** Seconds that what was broken off gets, so that it does not start what is being taken down. */
const SETTLE_SECONDS = 20;

/** `npm run cluster`: the story and chaos on a Temporal cluster with PostgreSQL. @returns the exit code */
async function main(): Promise<number> {
  const options = new Command('npm run cluster --')
    .description(
      'runs Lifeboat on a Temporal server of several processes on PostgreSQL, and kills and cuts off what it can',
    )
    .option(
      '--runs <n>',
      'runs of workflows to drive to their end while things die, at least',
      wholeNumber,
      20,
    )
    .option('--seed <n>', 'what everything is drawn from', wholeNumber, Math.floor(Math.random() * 1e6))
    .option('--plans <n>', 'plans on their way at once', wholeNumber, 4)
    .option('--no-story', 'without the story of the shop')
    .option('--no-chaos', 'without the batches in which things die')
    .option('--json', 'the last line is the result as JSON')
    .parse()
    .opts<Options>();
  const began = performance.now();
  leaveOtherSites(process.env);
  const told = narration(options.json === true);
  const report: ClusterReport = {
    ok: false,
    temporal: await temporalVersion(),
    postgresql: await postgresqlVersion(),
    seconds: 0,
  };
  const workers = workersOf({ cluster: true }).map(({ name }) => name.replace('worker-', ''));
  const members = temporalMembers({ loopbackOctet: 0 }).map(({ name }) => name.replace('temporal-', ''));
  told.say(
    `Temporal ${report.temporal} (${members.join(', ')}) on ${report.postgresql}; workers: ${workers.join(', ')}`,
  );
  const interruption = onInterruption();
  try {
    if (options.story) {
      report.story = emptyReport();
      await story(report.story, told, interruption.signal);
    }
    if (options.chaos)
      report.chaos = await inSandbox(
        'cluster-chaos',
        told,
        interruption.signal,
        () => runChaosOnCluster('cluster-chaos', options, told.say),
        ({ failedSeeds }) => failedSeeds.length === 0,
      );
    report.ok = (report.chaos?.failedSeeds.length ?? 0) === 0;
  } catch (error) {
    report.error = messageOf(error);
    told.say(`FAILED: ${report.error}`);
    if (process.env.LIFEBOAT_DEBUG === '1') console.error(error);
  } finally {
    interruption.done();
  }
  report.seconds = Math.round((performance.now() - began) / 1000);
  if (report.story !== undefined) told.write(`\n${reportTable(report.story)}`);
  console.log(options.json === true ? JSON.stringify(report) : lastLine(report));
  return report.ok ? 0 : 1;
}

async function story(report: DemoReport, told: Narration, signal: AbortSignal): Promise<void> {
  await inSandbox('cluster-story', told, signal, (directory) =>
    tellStoryOnCluster(directory, report, told, signal),
  );
  report.ok = true;
}

/**
 * Does something with a sandbox of a directory under `.lifeboat/test`, and takes it down whatever comes of it. What failed leaves its
 * state and logs there.
 * @throws the signal's reason, once it is aborted
 */
async function inSandbox<T>(
  name: string,
  told: Narration,
  signal: AbortSignal,
  work: (directory: string) => Promise<T>,
  held: (result: T) => boolean = () => true,
): Promise<T> {
  signal.throwIfAborted();
  const directory = join(projectRoot(), '.lifeboat', 'test', name);
  // What a run that was killed has left.
  await sandboxDown({ directory, forget: true });
  const working = work(directory);
  let done = false;
  try {
    const result = await untilAborted(working, signal);
    done = held(result);
    return result;
  } finally {
    // While it comes up, it must not be taken down: what is started after that would stay.
    if (signal.aborted) await Promise.race([working.catch(() => undefined), sleep(SETTLE_SECONDS * 1000)]);
    told.say('taking the cluster down');
    await sandboxDown({ directory, forget: done }, (line) => told.say(`  ${line}`));
    if (!done) told.say(`its state and logs are in ${directory}`);
  }
}

function lastLine({ ok, story, chaos, seconds, error }: ClusterReport): string {
  const told = story === undefined ? [] : [`the story ${story.ok ? 'held' : 'did NOT hold'}`];
  const counted =
    chaos === undefined
      ? []
      : [
          `${chaos.runs} runs, ${chaos.kills} kills, ${chaos.cuts} cuts, ${chaos.faults} faults`,
          `${chaos.lost} lost, ${chaos.orphans} orphans, ${chaos.corrupt} corrupt, ${chaos.unfenced} unfenced`,
          ...(chaos.failedSeeds.length > 0 ? [`failed seeds ${chaos.failedSeeds.join(', ')}`] : []),
        ];
  const why = error === undefined ? [] : [error];
  return `${ok ? 'everything held' : 'NOT everything held'}: ${[...told, ...counted, ...why, `${seconds} s`].join('; ')}`;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
