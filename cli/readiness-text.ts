import { type ReadinessStatus } from '../client/readiness-status';
import { type KeptFinding, type KnownProxy, type ProxyAnswer } from '../plan/readiness';
import { printable } from '../plan/printable';
import { type CheckSummary } from '../workflows/check';

/** What a check found, for people: what a person has to do first. */
export function checkText(summary: CheckSummary): string {
  const { plan, digest, verdict, checkedAt, findings, proxies, test } = summary;
  return (
    `Plan ${plan} (version ${digest.slice(0, 12)}): ${verdict}, as of ${checkedAt}.\n` +
    (findings.length === 0 ? '' : findingsText(findings)) +
    proxiesText(
      'AWS proxy',
      proxies.aws,
      proxies.all?.filter(({ role }) => role === 'aws-proxy'),
    ) +
    proxiesText(
      'Backup proxy',
      proxies.backup,
      proxies.all?.filter(({ role }) => role === 'backup-proxy'),
    ) +
    (test === undefined ? '' : `${TESTED[test.tested]}${changesText(test.changed)}.\n`)
  );
}

/** Sentences are too long for the columns of a table. */
function findingsText(findings: readonly KeptFinding[]): string {
  return findings
    .map(({ severity, vm, text, todo, since }) =>
      [
        `- ${[severity, ...(vm === undefined ? [] : [vm]), `since ${since}`].join(' · ')}`,
        `  ${text}`,
        `  To do: ${todo}`,
      ]
        .map((line) => `${line.slice(0, 2)}${printable(line.slice(2))}\n`)
        .join(''),
    )
    .join('');
}

/** Each of them, where each was asked; else whichever answered first. */
function proxiesText(what: string, first: ProxyAnswer | undefined, all: readonly KnownProxy[] = []): string {
  const [only] = all;
  if (only === undefined || all.length === 1) return proxyText(what, first ?? only);
  return all
    .map((proxy) => {
      const silent = { yes: '', no: '; does not answer', 'not asked': '; cannot be asked for itself' };
      return proxyText(what, proxy).replace(/\.\n$/, `${silent[proxy.answered]}.\n`);
    })
    .join('');
}

function proxyText(what: string, proxy: ProxyAnswer | undefined): string {
  if (proxy === undefined) return `${what}: none answers.\n`;
  const zone = proxy.availabilityZone === undefined ? '' : `, in ${proxy.availabilityZone}`;
  return `${what}: ${printable(proxy.worker)}, version ${printable(proxy.version)}${zone}.\n`;
}

/** The last check and test of a plan, in two lines of its status. */
export function readinessText(
  plan: string,
  { verdict, because, check, tested, changed, lastTest }: ReadinessStatus,
): string {
  const checked =
    check === undefined
      ? `Readiness: not verified; ${because}. To check it: lifeboat check ${plan}\n`
      : because === undefined
        ? `Readiness: ${verdict}, checked at ${check.checkedAt}; ${foundText(check.findings)}.\n`
        : `Readiness: not verified ${because}. That check said: ${check.verdict}; ${foundText(check.findings)}.\n`;
  return checked + testedText(plan, { tested, changed, lastTest });
}

const TESTED = { yes: 'Tested: yes', no: 'Tested: not', never: 'Tested: never' };
/** A plan of many guests may have had an upgrade of all. */
const MOST_CHANGES = 3;

/** ` since …`, to follow that a plan is not tested; nothing where nothing has changed. */
function changesText(changed: readonly string[]): string {
  const more = changed.length > MOST_CHANGES ? `, and ${changed.length - MOST_CHANGES} more` : '';
  const shown = changed.slice(0, MOST_CHANGES).map((one) => ` since ${printable(one)}`);
  return shown.join(',') + more;
}

function testedText(
  plan: string,
  { tested, changed, lastTest }: Pick<ReadinessStatus, 'tested' | 'changed' | 'lastTest'>,
): string {
  if (lastTest === undefined) return 'Tested: never.\n';
  const of = `a test failover succeeded at ${lastTest.testedAt} (run ${lastTest.runId})`;
  if (tested === 'yes') return `Tested: ${of}.\n`;
  return `Tested: not${changesText(changed)}; ${of}. What changed in the plan: lifeboat plan diff ${plan}\n`;
}

function foundText(findings: readonly KeptFinding[]): string {
  const impossible = findings.filter(({ severity }) => severity === 'impossible').length;
  const warnings = findings.length - impossible;
  if (findings.length === 0) return 'nothing found';
  const counts = [
    ...(impossible === 0
      ? []
      : [`${impossible} that ${impossible === 1 ? 'makes' : 'make'} a failover impossible`]),
    ...(warnings === 0 ? [] : [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`]),
  ];
  return `found: ${counts.join(', ')}`;
}
