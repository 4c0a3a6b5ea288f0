import { type ReadinessStatus } from '../client/readiness-status';
import { type KeptFinding, type ProxyAnswer } from '../plan/readiness';
import { printable } from '../plan/printable';
import { type CheckSummary } from '../workflows/check';

/** What a check found, for people: what a person has to do first. */
export function checkText({ plan, digest, verdict, checkedAt, findings, proxies }: CheckSummary): string {
  return (
    `Plan ${plan} (version ${digest.slice(0, 12)}): ${verdict}, as of ${checkedAt}.\n` +
    (findings.length === 0 ? '' : findingsText(findings)) +
    proxyText('AWS proxy', proxies.aws) +
    proxyText('Backup proxy', proxies.backup)
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

function proxyText(what: string, proxy: ProxyAnswer | undefined): string {
  if (proxy === undefined) return `${what}: none answers.\n`;
  const zone = proxy.availabilityZone === undefined ? '' : `, in ${proxy.availabilityZone}`;
  return `${what}: ${printable(proxy.worker)}, version ${printable(proxy.version)}${zone}.\n`;
}

/** The last check and test of a plan, in two lines of its status. */
export function readinessText(
  plan: string,
  { verdict, because, check, tested, lastTest }: ReadinessStatus,
): string {
  const checked =
    check === undefined
      ? `Readiness: not verified; ${because}. To check it: lifeboat check ${plan}\n`
      : because === undefined
        ? `Readiness: ${verdict}, checked at ${check.checkedAt}; ${foundText(check.findings)}.\n`
        : `Readiness: not verified ${because}. That check said: ${check.verdict}; ${foundText(check.findings)}.\n`;
  return checked + testedText(tested, lastTest);
}

function testedText(tested: ReadinessStatus['tested'], lastTest: ReadinessStatus['lastTest']): string {
  if (lastTest === undefined) return 'Tested: never.\n';
  const of = `a test failover succeeded at ${lastTest.testedAt} (run ${lastTest.runId})`;
  return tested === 'yes' ? `Tested: ${of}.\n` : `Tested: not this version of the plan; ${of} of another.\n`;
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
