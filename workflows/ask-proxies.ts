import { ActivityFailure, TimeoutFailure } from '@temporalio/workflow';
import { type Finding, type KeptCheck } from '../plan/readiness';
import { type RunContext } from '../plan/run';
import { awsProxyAnswers, backupProxyAnswers } from './run/activities';

/** Whether anybody is there to do the work, at either site. */
export async function askProxies(
  run: RunContext,
): Promise<{ proxies: KeptCheck['proxies']; findings: Finding[] }> {
  const [aws, backup] = await Promise.all([
    answerOf(() => awsProxyAnswers().answerAsAwsProxy()),
    answerOf(() => backupProxyAnswers.answerAsBackupProxy({ run })),
  ]);
  const findings: Finding[] = [];
  if (aws === undefined)
    findings.push({
      code: 'aws-proxy',
      severity: 'impossible',
      text: 'No AWS proxy answers.',
      todo: 'Start one at the recovery site: lifeboat worker aws-proxy. What it would see there is not known until then.',
    });
  if (backup === undefined)
    findings.push({
      code: 'backup-proxy',
      severity: 'warning',
      text: 'No backup proxy answers: nothing is replicated.',
      todo: 'Start one at the primary site: lifeboat worker backup-proxy.',
    });
  const { repositoryProblem, ...answered } = backup ?? {};
  if (repositoryProblem !== undefined)
    findings.push({
      code: 'backup-proxy-repository',
      severity: 'warning',
      text: `The backup proxy does not reach the backup repository: ${repositoryProblem}`,
      todo: "Look at the way from the data centre to S3, and at the backup proxy's credentials and LIFEBOAT_S3_ENDPOINT.",
      about: 'repository',
    });
  return {
    proxies: {
      ...(aws === undefined ? {} : { aws }),
      ...(backup === undefined ? {} : { backup: answered as typeof backup }),
    },
    findings,
  };
}

/** Zones in which an AWS proxy has to attach volumes, and none answers. */
export async function zoneFindings(zones: readonly string[]): Promise<Finding[]> {
  const asked = await Promise.all(
    zones.map(async (zone): Promise<Finding[]> => {
      if ((await answerOf(() => awsProxyAnswers(zone).answerAsAwsProxy())) !== undefined) return [];
      return [
        {
          code: 'aws-proxy-zone',
          severity: 'impossible',
          text: `No AWS proxy answers in ${zone}, where volumes have to be attached to one.`,
          todo: `Start one there (lifeboat worker aws-proxy), or have launch copies made, which need none: replication.launchCopy: true.`,
        },
      ];
    }),
  );
  return asked.flat();
}

/** @returns undefined where nobody takes the question, or nobody comes to an end with it */
export async function answerOf<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ActivityFailure && error.cause instanceof TimeoutFailure) return undefined;
    throw error;
  }
}
