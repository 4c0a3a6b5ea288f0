import { type ListedProxy } from '../activities/control/workers/listed-proxy';
import { hostOf } from '../activities/worker-identity';
import { type Finding, type KeptCheck, type KnownProxy, type ProxyAnswer } from '../plan/readiness';
import { type RunContext } from '../plan/run';
import { answerOf } from './ask-proxies';
import { control, proxyAnswers } from './run/activities';
import { type BegunRun } from './run/begin';

/**
 * What every proxy that polls answers for itself, and what the control worker sees of workers.
 * @param answered who has answered for all of a role: where nobody has, that is known already
 * @param snapshotId of a DR copy
 */
export async function askEveryProxy(
  { plan, run }: BegunRun,
  answered: Pick<KeptCheck['proxies'], 'aws' | 'backup'>,
  snapshotId: string | undefined,
): Promise<{ proxies: KnownProxy[]; findings: Finding[] }> {
  const topics = (plan.notify ?? []).flatMap(({ sns }) => sns?.topicArn ?? []);
  const isKnownToBeSilent = ({ role }: ListedProxy | KnownProxy): boolean =>
    answered[role === 'aws-proxy' ? 'aws' : 'backup'] === undefined;
  const { proxies: listed, findings } = await control.lookAtWorkers({ run, topics });
  const asked = await Promise.all(
    listed.map((proxy) => (isKnownToBeSilent(proxy) ? Promise.resolve(silent(proxy)) : ask(run, proxy))),
  );
  const lost = asked.filter(
    (proxy) => proxy.answered === 'no' && !isKnownToBeSilent(proxy) && !hasAnother(asked, proxy.worker),
  );
  const [first] = plan.vms;
  const question = { vm: first?.name ?? '', ...(snapshotId === undefined ? {} : { snapshotId }) };
  const privileges = await Promise.all(
    asked
      .filter(({ role, answered }) => role === 'backup-proxy' && answered === 'yes')
      .map(({ worker }) =>
        answerOf(() => proxyAnswers(worker).backup.askBackupProxyPrivileges({ run, question })),
      ),
  );
  return {
    proxies: asked,
    findings: [...findings, ...lost.map(silence), ...privileges.flatMap((found) => found ?? [])],
  };
}

async function ask(
  run: Pick<RunContext, 'repository'>,
  { role, worker, version, asked }: ListedProxy,
): Promise<KnownProxy> {
  if (!asked) return { role, worker, version, answered: 'not asked' };
  const answers = proxyAnswers(worker);
  const answer = await answerOf((): Promise<ProxyAnswer> =>
    role === 'aws-proxy' ? answers.aws.answerAsAwsProxy() : answers.backup.answerAsBackupProxy({ run }),
  );
  if (answer === undefined) return silent({ role, worker, version });
  const { availabilityZone } = answer;
  return {
    ...{ role, worker, version: answer.version, answered: 'yes' },
    ...(availabilityZone === undefined ? {} : { availabilityZone }),
  };
}

const silent = ({ role, worker, version }: Omit<ListedProxy, 'asked'>): KnownProxy => ({
  ...{ role, worker, version },
  answered: 'no',
});

/** Whether another process of the same host has answered: then the silent one is what was there before it. */
const hasAnother = (all: readonly KnownProxy[], worker: string): boolean =>
  all.some((one) => one.answered !== 'no' && hostOf(one.worker) === hostOf(worker));

const silence = ({ role, worker }: KnownProxy): Finding => ({
  code: 'proxy-silent',
  severity: 'warning',
  text: `The ${role === 'aws-proxy' ? 'AWS' : 'backup'} proxy ${worker} has polled until lately, and does not answer.`,
  todo: 'Look at its host and process. One that was taken away is forgotten within two minutes: check again then.',
  about: hostOf(worker),
});
