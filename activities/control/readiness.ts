import { mapAhead } from '../../blocks/pipeline';
import { lifeboatVersion } from '../../host/version';
import {
  type Finding,
  type KeptCheck,
  type LastTest,
  type ProxyAnswer,
  sinceWhen,
  testStanding,
  verdictOf,
} from '../../plan/readiness';
import { secondsText } from '../../plan/seconds-text';
import { guestFactsOf, type GuestFacts } from '../../plan/tested';
import { MANIFESTS_AT_ONCE, readManifest } from '../../repository/backups/backups';
import { type BackupManifest } from '../../repository/backups/manifest';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { type ObjectStore } from '../../repository/objects/object-store';
import { changeReadiness } from '../../repository/plans/readiness-record';
import { hostOf, UNKNOWN_VERSION } from '../worker-identity';
import { type ControlActivities } from './contract';
import { standings } from './standing';

type KeepCheck = Parameters<ControlActivities['keepCheck']>[0];
type NoteTest = Parameters<ControlActivities['noteTest']>[0];

/** See {@link ControlActivities}. @param version of this worker */
export async function keepCheck(
  store: ObjectStore,
  { run, rto, testEvery, findings, guests, ...checked }: KeepCheck,
  version = lifeboatVersion(),
): Promise<KeptCheck> {
  const judge = (before: KeptCheck | undefined, lastTest: LastTest | undefined): KeptCheck => {
    const all = [
      ...findings,
      ...versionFindings(checked.proxies, version),
      ...timeFindings(rto, run.digest, lastTest),
      ...overdueFindings(testEvery, checked.checkedAt, lastTest),
    ];
    const kept = {
      ...checked,
      digest: run.digest,
      runId: run.runId,
      verdict: verdictOf(all),
      findings: sinceWhen(all, before?.findings ?? [], checked.checkedAt),
      test: testStanding(lastTest, {
        digest: run.digest,
        ...(guests === undefined ? {} : { guests }),
        ...(checked.proxies.aws === undefined ? {} : { awsProxy: checked.proxies.aws.version }),
      }),
    };
    return { ...kept, ...standings(kept, before) };
  };
  let kept: KeptCheck | undefined;
  await changeReadiness(store, run.plan, (record) => {
    kept = judge(record.check, record.lastTest);
    // What a newer check has judged is told by that.
    if (record.check !== undefined && record.check.checkedAt > checked.checkedAt) {
      delete kept.changes;
      return record;
    }
    return { ...record, check: kept };
  });
  // The record is read at least once.
  return kept ?? judge(undefined, undefined);
}

export async function noteTest(
  store: ObjectStore,
  { run, testedAt, rtoSeconds, recoveryPoints = {}, awsProxy }: NoteTest,
): Promise<void> {
  const { digest, runId } = run;
  const guests = await guestsIn(store, recoveryPoints);
  const lastTest: LastTest = {
    ...{ digest, runId, testedAt, rtoSeconds, guests },
    ...(awsProxy === undefined ? {} : { awsProxy }),
  };
  await changeReadiness(store, run.plan, (record) =>
    record.lastTest !== undefined && record.lastTest.testedAt > testedAt ? record : { ...record, lastTest },
  );
}

/** What the backups say of their guests. One that cannot be read says nothing, and a change of that guest will not be seen. */
async function guestsIn(
  store: ObjectStore,
  recoveryPoints: Record<string, string>,
): Promise<Record<string, GuestFacts>> {
  const guests: Record<string, GuestFacts> = {};
  const read = async ([vm, backup]: [string, string]) => ({
    vm,
    manifest: await manifestOf(store, vm, backup),
  });
  for await (const { vm, manifest } of mapAhead(Object.entries(recoveryPoints), MANIFESTS_AT_ONCE, read))
    if (manifest !== undefined) guests[vm] = guestFactsOf(manifest);
  return guests;
}

async function manifestOf(
  store: ObjectStore,
  vm: string,
  backup: string,
): Promise<BackupManifest | undefined> {
  try {
    return await readManifest(store, vm, backup);
  } catch (error) {
    if (error instanceof DamagedObjectError) return undefined;
    throw error;
  }
}

/** Proxies of another version than the control worker, whose runs ask for what the proxies may not know. */
function versionFindings({ aws, backup, all }: KeptCheck['proxies'], version: string): Finding[] {
  const of = (what: string, proxy: ProxyAnswer | undefined): Finding[] =>
    proxy === undefined || proxy.version === version || proxy.version === UNKNOWN_VERSION
      ? []
      : [
          {
            code: 'version',
            severity: 'warning',
            text: `The ${what} runs version ${proxy.version} of Lifeboat, the control worker ${version}.`,
            todo: 'Run one version at both sites: upgrade the proxies first, then the control workers.',
            about: what,
          },
        ];
  const roles = [
    ['AWS proxy', 'aws-proxy', aws],
    ['backup proxy', 'backup-proxy', backup],
  ] as const;
  return roles.flatMap(([what, role, first]) => {
    const each = all?.filter((one) => one.role === role) ?? [];
    if (each.length <= 1) return of(what, first ?? each[0]);
    return each.flatMap((one) => of(`${what} ${hostOf(one.worker)}`, one));
  });
}

/** A recovery time objective that the last test of this version of the plan missed. */
function timeFindings(rto: number | undefined, digest: string, lastTest: LastTest | undefined): Finding[] {
  if (rto === undefined || lastTest?.digest !== digest || lastTest.rtoSeconds <= rto) return [];
  return [
    {
      code: 'rto',
      severity: 'warning',
      text: `The test failover of ${lastTest.testedAt} took ${secondsText(lastTest.rtoSeconds)}; the plan's objective is ${secondsText(rto)}.`,
      todo: 'Look at the run in the Web UI for what took long; launch copies and fewer tiers of dependsOn make it shorter.',
      about: 'rto',
    },
  ];
}

/** A test that is due. How it went, and of which version of the plan it was, is judged elsewhere: this is about time alone. */
function overdueFindings(
  testEvery: number | undefined,
  now: string,
  lastTest: LastTest | undefined,
): Finding[] {
  if (testEvery === undefined) return [];
  const ago = lastTest && (Date.parse(now) - Date.parse(lastTest.testedAt)) / 1000;
  if (ago !== undefined && ago <= testEvery) return [];
  return [
    {
      code: 'test-overdue',
      severity: 'warning',
      text:
        lastTest === undefined
          ? `No test failover has come to a good end yet; the plan's objective is one every ${secondsText(testEvery)}.`
          : `The last good test failover was at ${lastTest.testedAt}; the plan's objective is one every ${secondsText(testEvery)}.`,
      todo: 'Test the plan: lifeboat failover PLAN --test.',
      about: 'test',
    },
  ];
}
