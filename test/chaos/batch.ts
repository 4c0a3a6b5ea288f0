import { join } from 'node:path';
import { STRUCK_FILE } from '../../sandbox/aws/faults/rule';
import { PROXY_INSTANCE_IDS } from '../../sandbox/aws/fixtures';
import { readIfExists } from '../../host/if-exists';
import { waitUntilServing } from '../../sandbox/supervisor/readiness';
import { type E2eSandbox } from '../support/e2e-sandbox';
import { Account } from './account';
import { cutNowAndThen } from './cuts';
import { drawAwayCopies } from './away-copies';
import { drawDecisions } from './decisions';
import { drawFaults, drawLaunchFaults } from './faults';
import { siteViolations, strayViolations, type Violation } from './invariants';
import { drawJourney } from './journeys';
import { killNowAndThen } from './kills';
import { drawLaunchCopies, WANTED_SHARE } from './launch-copies';
import { drawLicensedFaults, drawLicensedImages, LICENSED_SHARE } from './licensed-images';
import { type LaunchCounts } from './launch-copy-watch';
import { type LockCounts } from './lock-watch';
import { drawLockFaults, drawLocks, LOCKED_SHARE } from './locks';
import { drawOlderPoints, OLDER_SHARE } from './older-points';
import { drawPowerReturns, RETURN_SHARE } from './power-returns';
import { SeededRandom } from './random';
import { drawSurvival } from './survivors';
import { silenceNowAndThen } from './silence';
import { Traveller } from './traveller';
import { drawUndos } from './undos';

/** What one batch did and found. */
export interface BatchReport extends LaunchCounts, LockCounts {
  seed: number;
  runs: number;
  kills: number;
  /** Who was killed, each time. */
  killed: string[];
  /** How often a whole site was cut off, on a cluster. */
  cuts: number;
  faults: number;
  /** Failovers and test failovers to an older recovery point. */
  olderPoints: number;
  /** How often a data centre came back while its application was away. */
  powerReturns: number;
  violations: Violation[];
}

/** Plans that are on their way at the same time: what a kill costs, the start of a worker, is shared by all. */
export const PLANS = 8;

/** Makes another seed of a seed: what is drawn of licensed images is no draw of anything else. */
const LICENCES = 0x11ce;
const UNDOS = 0x0d05;
/** The same of what protects plans that are away. */
const AWAY = 0xa3a7;
/** The same, of what people are asked. */
const DECISIONS = 0xdec1;
/** As {@link LICENCES}, of data centres that survive. */
const SURVIVALS = 0x5afe;

/** As {@link LICENCES}, of older recovery points. */
const OLDER_POINTS = 0x01de;
/** As {@link LICENCES}, of data centres that come back. */
const RETURNS = 0xf3ce;

/** As {@link LICENCES}, of cuts between sites. */
const CUTS = 0xc075;

/** As {@link LICENCES}, of locks. */
const LOCKS = 0x10c5;

/** A few plans on their journeys at once, while processes are killed and AWS fails, all drawn from one seed. */
export async function runBatch(
  sandbox: E2eSandbox,
  seed: number,
  log: (line: string) => void,
  plans = PLANS,
  launchCopyShare = WANTED_SHARE,
  licensedShare = LICENSED_SHARE,
  olderShare = OLDER_SHARE,
  lockedShare = LOCKED_SHARE,
  returnShare = RETURN_SHARE,
): Promise<BatchReport> {
  const random = new SeededRandom(seed);
  const { config, paths } = sandbox;
  const account = new Account(config);
  const rules = drawFaults(random.fork(), `seed-${seed}`);
  const kills = random.fork();
  const silences = random.fork();
  // Of its own, so that a seed's other draws are what they were before there were launch copies.
  const launches = new SeededRandom(~seed);
  const licences = new SeededRandom(seed ^ LICENCES);
  const olderPoints = new SeededRandom(seed ^ OLDER_POINTS);
  const survivals = new SeededRandom(seed ^ SURVIVALS);
  const away = new SeededRandom(seed ^ AWAY);
  const undos = new SeededRandom(seed ^ UNDOS);
  const decisions = new SeededRandom(seed ^ DECISIONS);
  const locks = new SeededRandom(seed ^ LOCKS);
  const returns = new SeededRandom(seed ^ RETURNS);
  const travellers = Array.from({ length: plans }, (_, n) => {
    const own = random.fork();
    const drawn = drawLaunchCopies(drawJourney(own, `s${seed}-${n}`), launches.fork(), launchCopyShare);
    const licensed = drawLicensedImages(drawn, licences.fork(), licensedShare);
    const older = drawOlderPoints(licensed, olderPoints.fork(), olderShare);
    const protectedAway = drawAwayCopies(drawSurvival(older, survivals.fork()), away.fork());
    const asking = drawDecisions(drawUndos(protectedAway, undos.fork()), decisions.fork());
    const locked = drawLocks(asking, locks.fork(), lockedShare);
    const journey = drawPowerReturns(locked, returns.fork(), returnShare);
    return new Traveller(sandbox, account, journey, own, seed * PLANS + n, log);
  });
  if (travellers.some(({ journey }) => journey.launchCopy === true))
    rules.push(...drawLaunchFaults(launches.fork(), `seed-${seed}`));
  if (travellers.some(({ journey }) => journey.licensed === true))
    rules.push(...drawLicensedFaults(licences.fork(), `seed-${seed}`));
  if (travellers.some(({ journey }) => journey.lock !== undefined))
    rules.push(...drawLockFaults(locks.fork(), `seed-${seed}`));
  const struckBefore = await strikes(paths.aws);
  try {
    for (const traveller of travellers) await traveller.setOut();
    for (const { name, ...rule } of rules) log(`fault ${name}: ${JSON.stringify(rule)}`);
    await sandbox.breakAws(...rules);
    const stop = new AbortController();
    const killing = killNowAndThen(config, kills, stop.signal, log);
    const silencing = silenceNowAndThen(paths.silentGuests, silences, stop.signal, log);
    const cutting =
      config.cluster === true
        ? cutNowAndThen(config, new SeededRandom(seed ^ CUTS), stop.signal, log)
        : Promise.resolve(0);
    // What it fails with is told when all have arrived.
    cutting.catch(() => undefined);
    await Promise.all(travellers.map((traveller) => traveller.travel()));
    stop.abort();
    const killed = await killing;
    const cuts = await cutting;
    await silencing;
    await sandbox.mendAws();
    await waitUntilServing(config);
    const violations: Violation[] = [];
    for (const traveller of travellers) {
      if (traveller.violations.length === 0) await traveller.arrive();
      violations.push(...traveller.violations);
    }
    if (violations.length === 0) {
      violations.push(...strayViolations(await account.resources(), PROXY_INSTANCE_IDS));
      violations.push(
        ...siteViolations(
          await sandbox.site.list(),
          travellers.flatMap(({ vmsAtHome }) => vmsAtHome),
        ),
      );
      for (const traveller of travellers) await traveller.leave();
    }
    const counted = (what: keyof LaunchCounts): number =>
      travellers.reduce((sum, { launchCopies }) => sum + launchCopies.counts[what], 0);
    const lockCount = (what: keyof LockCounts): number =>
      travellers.reduce((sum, traveller) => sum + traveller.locks.counts[what], 0);
    return {
      seed,
      runs: travellers.reduce((sum, { runs }) => sum + runs, 0),
      kills: killed.length,
      killed,
      cuts,
      faults: (await strikes(paths.aws)) - struckBefore,
      launchCopiesMade: counted('launchCopiesMade'),
      launchedByCopy: counted('launchedByCopy'),
      launchedByVolumes: counted('launchedByVolumes'),
      launchedFromLicensed: counted('launchedFromLicensed'),
      locksMade: lockCount('locksMade'),
      locksRefused: lockCount('locksRefused'),
      lockedOlder: lockCount('lockedOlder'),
      olderPoints: travellers.reduce((sum, { olderPoints: times }) => sum + times, 0),
      powerReturns: travellers.reduce((sum, { power }) => sum + power.returns, 0),
      violations,
    };
  } finally {
    await sandbox.mendAws();
    account.close();
  }
}

/** How often a fault has struck since the account was made. */
async function strikes(directory: string): Promise<number> {
  const text = (await readIfExists(join(directory, STRUCK_FILE))) ?? '{}';
  return Object.values(JSON.parse(text) as Record<string, number>).reduce((sum, times) => sum + times, 0);
}
