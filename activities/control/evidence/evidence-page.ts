import { secondsText } from '../../../plan/seconds-text';
import { type Evidence } from '../../../repository/evidence/document';
import { htmlPage } from './page/document';
import { html, type Html } from './page/html';
import {
  chainSection,
  dnsSection,
  hooksSection,
  integritySection,
  peopleSection,
  preflightSection,
  resourcesSection,
} from './page/sections';
import { type PageOf } from './page/page-of';
import { timelineSvg } from './page/timeline';
import { bootProofSection, stepsSection, vmsSection } from './page/vm-sections';
import { deviationsSection } from './page/deviations';

/**
 * The document as one HTML page that needs nothing else. Whatever a guest, a tag or a person has written is escaped.
 * @param pictures JPEGs by their keys
 */
export function evidencePage(evidence: PageOf, pictures: ReadonlyMap<string, Buffer>): string {
  const { plan, run } = evidence;
  return htmlPage(
    `Evidence: ${run.kind} of ${plan.name}, ${run.startedAt.slice(0, 10)}`,
    html`<header>
        <h1>${capital(run.kind)} of the plan ${plan.name}</h1>
        <p class="quiet">
          Evidence number ${evidence.chain.sequence} of this plan. ${run.startedAt} to ${run.endedAt} (UTC),
          ${secondsText(run.seconds)}.
        </p>
        <p>${run.scenario}</p>
        ${badges(evidence)}
        ${evidence.outcome.failure === null ? '' : html`<p class="failure">${evidence.outcome.failure}</p>`}
      </header>
      <section>
        <h2>Timeline</h2>
        ${timelineSvg(evidence)}
      </section>
      ${deviationsSection(evidence)} ${vmsSection(evidence)} ${bootProofSection(evidence, pictures)}
      ${dnsSection(evidence)} ${integritySection(evidence)} ${preflightSection(evidence)}
      ${hooksSection(evidence)} ${peopleSection(evidence)} ${resourcesSection(evidence)}
      ${stepsSection(evidence)} ${chainSection(evidence)}`,
  );
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** The run's verdict. */
export function badges({ outcome, objectives, vms, deviations }: PageOf): Html {
  const up = vms.filter((vm) => vm.outcome === 'up').length;
  return html`<div class="badges">
    ${badge(outcome.ended === 'completed' ? 'good' : 'bad', capital(outcome.ended), 'the run')}
    ${objectiveBadge('RPO', objectives.rpo)} ${objectiveBadge('RTO', objectives.rto)}
    ${objectives.downtimeSeconds === null ? '' : badge('', secondsText(objectives.downtimeSeconds), 'out of service')}
    ${badge(up === vms.length ? 'good' : 'bad', `${up} of ${vms.length}`, 'VMs came up')}
    ${badge('', String(deviations.length), 'deviations')}
  </div>`;
}

function objectiveBadge(
  name: string,
  { objectiveSeconds, measuredSeconds, verdict }: Evidence['objectives']['rpo'],
): Html {
  const measured = measuredSeconds === null ? 'not measured' : secondsText(measuredSeconds);
  const objective =
    objectiveSeconds === null
      ? 'the plan has no objective'
      : `objective ${secondsText(objectiveSeconds)}: ${verdict}`;
  return badge(
    verdict === 'met' ? 'good' : verdict === 'missed' ? 'bad' : '',
    `${name} ${measured}`,
    objective,
  );
}

const badge = (kind: '' | 'good' | 'bad', text: string, below: string): Html =>
  html`<div class="badge ${kind}"><b>${text}</b><span>${below}</span></div>`;
