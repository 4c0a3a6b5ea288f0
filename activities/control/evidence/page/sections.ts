import { type Evidence } from '../../../../repository/evidence/document';
import { html, type Html, type HtmlValue } from './html';
import { type PageOf } from './page-of';
import { code, factsTable, lines, NOT_RECORDED, orNot, section, table } from './tables';

type Names = NonNullable<NonNullable<Evidence['dns']>['before']>;

export function dnsSection({ dns }: PageOf): Html {
  if (dns === null) return section('DNS', html`<p>The plan has no DNS records.</p>`);
  return section(
    'DNS',
    factsTable([
      ['Hosted zone', code(dns.hostedZone)],
      ['Changed', dns.changed === null ? NOT_RECORDED : dns.changed ? 'yes' : 'no'],
      ['Before', names(dns.before)],
      ['After', names(dns.after)],
      ['Proof', orNot(dns.proof)],
    ]),
  );
}

const names = (found: Names | null): HtmlValue =>
  found === null
    ? NOT_RECORDED
    : lines(
        found.map(({ name, values }) => `${name}: ${values.length === 0 ? 'no record' : values.join('; ')}`),
      );

export function integritySection({ integrity, vms }: PageOf): Html {
  const copies = vms.flatMap(({ vm, copies: of }) => of.map((copy) => ({ vm, ...copy })));
  return section(
    'Integrity of the data',
    html`<p>${integrity.statement}</p>`,
    factsTable([
      ['Blocks with data in the recovery points', orNot(integrity.dataBlocks)],
      ['Blocks that this run copied', integrity.copiedBlocks ?? 'none itself'],
    ]),
    copies.length === 0
      ? ''
      : table(
          ['VM', 'step', 'disk', 'blocks', 'bytes', 'seconds'],
          copies.map(({ vm, step, disk, blocks, bytes, seconds }) => [
            vm,
            step,
            disk,
            blocks,
            bytes,
            seconds,
          ]),
          'None.',
        ),
  );
}

export function preflightSection({ preflight: { passed, notes, failure, lastCheck } }: PageOf): Html {
  return section(
    'Checked before',
    factsTable([
      [
        'The run’s own check',
        passed === null ? NOT_RECORDED : passed ? 'passed' : lines(['failed', failure]),
      ],
      ['Its notes', notes.length === 0 ? 'none' : lines(notes)],
      [
        'Last standing check',
        lastCheck === null
          ? NOT_RECORDED
          : `${lastCheck.verdict} at ${lastCheck.at}, ${lastCheck.samePlan ? 'of this version of the plan' : 'of another version of the plan'}`,
      ],
    ]),
    lastCheck === null
      ? ''
      : table(
          ['severity', 'VM', 'finding', 'what to do', 'since'],
          lastCheck.findings.map(({ severity, vm, text, todo, since }) => [severity, vm, text, todo, since]),
          'It found nothing.',
        ),
  );
}

/** Of a run that had hooks. */
export function hooksSection({ hooks = [] }: PageOf): Html | string {
  if (hooks.length === 0) return '';
  return section(
    'Hooks',
    table(
      ['at', 'VM', 'what', 'began', 'seconds', 'answer', 'output'],
      hooks.map(({ at, vm, what, startedAt, seconds, ok, status, reason, required, output }) => [
        ...[at, vm, what, startedAt, orNot(seconds)],
        lines([
          `${ok === null ? 'not ended' : ok ? 'ok' : 'failed'}${status === null ? '' : `, status ${status}`}${required ? '' : ', not required'}`,
          ...(reason === null ? [] : [reason]),
        ]),
        html`<pre>${output}</pre>`,
      ]),
      'None.',
    ),
  );
}

export function peopleSection({ people: { askedBy, decisions }, plan, chain }: PageOf): Html {
  return section(
    'People',
    factsTable([
      [
        'Asked for by',
        `${orNot(askedBy.client)} at ${askedBy.at}, as the client has claimed it to Temporal; nobody proved who they are`,
      ],
      ['Asked for', askedBy.options.length === 0 ? 'nothing but the plan' : lines(askedBy.options)],
      ['Who asked, as the command said', orNot(askedBy.by)],
      ['To AWS, as the command said', orNot(askedBy.awsCaller)],
      ['Authenticated by Temporal as', orNot(askedBy.authenticatedAs)],
      ['Who watched', NOT_RECORDED],
    ]),
    table(
      ['at', 'what', 'of', 'by (as they said)', 'why', 'sent by', 'to AWS', 'authenticated by Temporal as'],
      decisions.map(({ at, what, of, by, why, sentBy, awsCaller, authenticatedAs }) => [
        at,
        what,
        of,
        orNot(by),
        orNot(why),
        orNot(sentBy),
        orNot(awsCaller),
        orNot(authenticatedAs),
      ]),
      'Nobody had to decide, or to mend, anything.',
    ),
    html`<p class="quiet">
      A sign-off is a document of its own that comes after this one:
      <code>lifeboat evidence sign ${plan.name} ${chain.sequence} --remark TEXT</code>
    </p>`,
  );
}

/** Ids that a page lists; all are in the document. */
const IDS_ON_THE_PAGE = 300;

export function resourcesSection({
  resources: { made, removed, leftovers, statement },
  cost,
  site,
}: PageOf): Html {
  return section(
    'Where, what was made, and what it cost',
    factsTable([
      ['Region', site.region],
      ['Subnets', site.subnets.join(', ')],
      ['Security groups', site.securityGroups.join(', ')],
      ['KMS key', site.kmsKey ?? 'the account’s own'],
      ['Backup repository', site.repository],
      ['Made', ids(made.map(({ kind, id, vm }) => `${id} (${kind}${vm === null ? '' : ` of ${vm}`})`))],
      ['Removed', ids(removed)],
      ['Left over', leftovers === null ? NOT_RECORDED : ids(leftovers)],
      ['', statement],
      [
        'Estimated cost',
        cost === null
          ? NOT_RECORDED
          : lines([`USD ${cost.usd.toFixed(4)}`, html`<span class="quiet">${cost.basis}</span>`]),
      ],
    ]),
  );
}

function ids(all: readonly string[]): HtmlValue {
  if (all.length === 0) return 'nothing';
  const more = all.length - IDS_ON_THE_PAGE;
  return html`${all.length}:
  ${code(all.slice(0, IDS_ON_THE_PAGE).join(', '))}${more > 0 ? ` and ${more} more, in the document` : ''}`;
}

export function chainSection({ chain, plan, run, versions, outcome, nextTestDue, writtenAt }: PageOf): Html {
  const { lastTest } = plan;
  return section(
    'This document',
    factsTable([
      ['Run', lines([code(run.runId), code(run.workflowId)])],
      ['Plan', html`${plan.name}, version ${code(plan.digest)}`],
      [
        'Completed test before this run',
        lastTest === null
          ? NOT_RECORDED
          : lines([
              `${lastTest.endedAt}, run ${lastTest.runId}`,
              lastTest.samePlan ? 'The plan has not changed since.' : 'The plan has changed since.',
            ]),
      ],
      ['Next test due', orNot(nextTestDue)],
      ['Notes of the run', outcome.notes.length === 0 ? 'none' : lines(outcome.notes)],
      [
        'Versions',
        lines([
          `Lifeboat ${versions.lifeboat} (control worker); AWS proxy ${orNot(versions.awsProxy)}, backup proxy ${orNot(versions.backupProxy)}${versions.proxiesAsOf === null ? '' : `, as of the check of ${versions.proxiesAsOf}`}`,
          `Temporal SDK ${versions.temporalSdk.length === 0 ? NOT_RECORDED : versions.temporalSdk.join(', ')}; server ${NOT_RECORDED}`,
        ]),
      ],
      ['Clock', run.clock],
      ['Written at', writtenAt],
      [
        'Document before',
        chain.previous === null ? 'none: this is the first' : html`SHA-256 ${code(chain.previous)}`,
      ],
    ]),
    html`<p class="quiet">
      “${NOT_RECORDED}” is what the run did not know. That neither this page nor the document that it was made
      of was changed is shown by: <code>lifeboat evidence verify ${plan.name}</code>
    </p>`,
  );
}
